"""The weights catalogue: its facts, the folder of the files, and the tables that show both."""
import re
from pathlib import Path

import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.weights import catalogue, place
from fiqa_core.weights.shipped import shipped
from tests.helpers.shared import shared_path
from tests.helpers.weights_shop import weights, write_catalogue

ROOT = Path(__file__).resolve().parents[2]
MODELS = catalogue.models()
# What a file is called in the weights folder where the authors' name is unknown or says too little.
NAMED_HERE = ("adaface_", "transface_", "insightface_", "pfe_", "magface_r18", "ediffiqa_l_uniface",
              "ediffiqa_m_uniface", "ediffiqa_s_uniface", "ediffiqa_t_uniface")


def test_every_architecture_is_one_the_package_builds():
    from fiqa_core.loading import architectures
    only_run = {"sface", "yunet", "faceqnet"}   # built or run from what their files say
    named = {model.architecture for model in MODELS.values()} - {None}
    assert named - set(architectures()) == only_run


def test_every_architecture_has_a_file_or_a_reason_for_having_none():
    from fiqa_core.loading import architectures
    with_file = {model.architecture for model in MODELS.values()}
    assert set(architectures()) - with_file <= set(catalogue.without_file())
    assert not with_file & set(catalogue.without_file())


def test_files_and_slugs_are_unmistakable():
    files = [model.file for model in MODELS.values()]
    assert len(set(files)) == len(files)
    assert all(re.fullmatch(r"[a-z0-9_]+", slug) for slug in MODELS)


def test_what_can_be_fetched_has_an_address_of_one_version_and_a_whole_digest():
    fetchable = [model for model in MODELS.values() if model.url]
    assert {"ediffiqa_t_opencv", "sface", "yunet", "lightqnet_dm050"} <= {model.slug for model in fetchable}
    for model in fetchable:
        assert re.search(r"^https://github\.com/.+/(raw/[0-9a-f]{40}|releases/download/\w+)/", model.url)
        assert len(model.sha256) == 64


def spec() -> str:
    """The texts that the catalogue's facts are from; large numbers and lists of files also written out."""
    text = "".join(shared_path(f"spec/{name}.md").read_text()
                   for name in ("recognisers", "baselines", "methods", "ecosystem"))
    listed = re.findall(r"([a-z-]+)((?:\w{1,3}/)+\w{1,3})(\.\w+)", text)      # ediffiqaL/M/S/T.pth
    files = [start + size + end for start, sizes, end in listed for size in sizes.split("/")]
    return "\n".join([text, re.sub(r"(?<=\d)[, ](?=\d{3})", "", text), *files])


def test_facts_are_those_of_the_specification():
    """And every digest of a weights file that is stated there is in the catalogue."""
    text = spec()
    for model in MODELS.values():
        if model.package:               # opened and measured by ourselves
            continue
        assert model.source.key == "ediffiqa_uniface" or (model.sha256 or "") in text, model.slug
        assert model.size is None or str(model.size) in text, model.slug
        assert model.source.arxiv is None or f"arXiv {model.source.arxiv}" in text, model.slug
        assert model.source.doi is None or model.source.doi in text, model.slug
        assert model.file.rpartition("/")[2] in text or model.slug.startswith(NAMED_HERE), model.slug
    text = "".join(shared_path(f"spec/{name}.md").read_text()
                   for name in ("recognisers", "baselines", "methods"))
    stated = set(re.findall(r"\b[0-9a-f]{64}\b", text))
    assert len(stated) > 7 and stated <= {model.sha256 for model in MODELS.values()}


def test_licences_are_those_of_the_specification():
    table = shared_path("spec/recognisers.md").read_text().partition("## 16.")[2]
    rows = dict(re.findall(r"^\| (\S+/\S+) \| .* \| (.*) \|$", table, re.MULTILINE))
    sources = {source.page.removeprefix("https://github.com/"): source.licence
               for source in {model.source for model in MODELS.values()}}
    assert len(sources.keys() & rows) >= 9
    assert all(sources[page] in rows[page] for page in sources.keys() & rows)


@pytest.mark.parametrize("change, complaint", [
    ({"source": "nobody"}, "has source 'nobody'"),
    ({"kind": "camera"}, "kind 'camera'"),
    ({"sha256": "12ab"}, "sha256 '12ab'"),
    ({"size": -1}, "size -1"),
    ({"file": "../outside.pth"}, "file '../outside.pth'"),
    ({"url": "http://127.0.0.1/x", "sha256": None}, "url without the whole sha256"),
    ({"licence": "MIT"}, "unknown fields ['licence']"),
])
def test_a_malformed_entry_is_named(tmp_path, change, complaint):
    path = write_catalogue(tmp_path, **change)
    with pytest.raises(FiqaError, match=re.escape(complaint)):
        catalogue.read(path)


def test_an_unknown_slug_gets_suggestions():
    with pytest.raises(FiqaError, match="did you mean.*cr_fiqa_s"):
        catalogue.find_model("cr-fiqa-s")


def test_a_file_is_looked_for_here_and_then_in_the_weights_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))
    monkeypatch.delenv("FIQA_WEIGHTS", raising=False)
    assert place.weights_folder() == tmp_path / "weights"
    monkeypatch.setenv("FIQA_WEIGHTS", str(tmp_path / "elsewhere"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.pth").touch()
    assert place.find("a.pth") == tmp_path / "elsewhere" / "a.pth"
    (tmp_path / "a.pth").touch()
    assert place.find("a.pth").resolve() == tmp_path / "a.pth"
    assert str(place.find("b.pth")) == "b.pth"


def test_list_shows_every_model_with_state_licence_and_way(shop, capsys):
    assert weights("list") == 0
    printed = capsys.readouterr().out
    lines = {line.split()[0]: line for line in printed.splitlines() if line.startswith("  ")}
    assert set(lines) == {"state"} | set(MODELS) | set(shipped())
    assert re.search(r"missing +7\.3 MB +CC BY 4\.0 +weights fetch", lines["ediffiqa_t_opencv"])
    assert re.search(r"missing +\? +MIT +by hand: mk-minchul/AdaFace", lines["adaface_ir50_casia"])
    assert max(map(len, printed.splitlines())) <= 120


def test_list_of_one_tells_everything(capsys):
    assert weights("list", "cr_fiqa_s") == 0
    printed = capsys.readouterr().out
    for fact in ("arXiv 2112.06592", "https://github.com/fdbtrs/CR-FIQA", "CC BY-NC 4.0", "32572backbone.pth",
                 "174,679,421 bytes", MODELS["cr_fiqa_s"].sha256, 
                 "weights add cr_fiqa_s FILE"):
        assert fact in printed


def test_an_unknown_slug_ends_with_code_2(capsys):
    assert weights("fetch", "cr-fiqa-s") == 2
    assert "did you mean" in capsys.readouterr().err


def test_convert_tells_what_it_left_out(monkeypatch, capsys, tmp_path):
    from fiqa_core.weights import convert
    seen = []
    monkeypatch.setattr(convert, "convert", lambda *paths: seen.append(paths) or ["os.system"])
    assert weights("convert", tmp_path / "old.ckpt", tmp_path / "new.pt") == 0
    printed = capsys.readouterr().out
    assert seen == [(tmp_path / "old.ckpt", tmp_path / "new.pt")]
    assert "new.pt" in printed and "without running it: os.system" in printed
