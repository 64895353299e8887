"""The weights catalogue: its facts, its states, and its commands against a server on the loopback address."""
import functools
import hashlib
import os
import re
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

from fiqa_core import cli
from fiqa_core.errors import FiqaError
from fiqa_core.progress import progress
from fiqa_core.recognisers import build_model
from fiqa_core.weights import catalogue, fetch, place, presence
from tests.shared import shared_path

ROOT = Path(__file__).resolve().parent.parent
ARCHITECTURE = "mobilefacenet_foamliu"
MODELS = catalogue.models()
CONTENT = bytes(range(256)) * 14_000        # 3.6 MB: more than three pieces of a download
# What a file is called in the weights folder where the authors' name is unknown or says too little.
NAMED_HERE = ("adaface_", "transface_", "insightface_", "pfe_", "magface_r18", "ediffiqa_l_uniface",
              "ediffiqa_m_uniface", "ediffiqa_s_uniface", "ediffiqa_t_uniface")


# --- the catalogue itself -------------------------------------------------------------------------------


def test_every_architecture_is_one_the_package_builds():
    from fiqa_core.architectures import ARCHITECTURES
    only_run = {"sface", "yunet"}           # ONNX: run by onnxruntime and OpenCV, not built
    named = {model.architecture for model in MODELS.values()} - {None}
    assert named - set(ARCHITECTURES) == only_run


def test_every_architecture_has_a_file_or_a_reason_for_having_none():
    from fiqa_core.architectures import ARCHITECTURES
    with_file = {model.architecture for model in MODELS.values()}
    assert set(ARCHITECTURES) - with_file <= set(catalogue.without_file())
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


def test_digests_sizes_and_papers_are_those_of_the_specification():
    text = spec()
    for model in MODELS.values():
        stated = model.source.key == "ediffiqa_uniface" or model.sha256 is None
        assert stated or model.sha256 in text, model.slug
        assert model.size is None or str(model.size) in text, model.slug
        assert model.source.arxiv is None or f"arXiv {model.source.arxiv}" in text, model.slug
        assert model.source.doi is None or model.source.doi in text, model.slug


def test_every_digest_of_a_weights_file_in_the_specification_is_in_the_catalogue():
    text = "".join(shared_path(f"spec/{name}.md").read_text()
                   for name in ("recognisers", "baselines", "methods"))
    stated = set(re.findall(r"\b[0-9a-f]{64}\b", text))
    assert len(stated) > 7
    assert stated <= {model.sha256 for model in MODELS.values()}


def test_file_names_are_those_of_the_specification():
    text = spec()
    for model in MODELS.values():
        name = model.file.rpartition("/")[2]
        assert name in text or model.slug.startswith(NAMED_HERE), model.slug


def test_licences_are_those_of_the_specification():
    table = shared_path("spec/recognisers.md").read_text().partition("## 16.")[2]
    rows = dict(re.findall(r"^\| (\S+/\S+) \| .* \| (.*) \|$", table, re.MULTILINE))
    checked = 0
    for source in {model.source for model in MODELS.values()}:
        licence = rows.get(source.page.removeprefix("https://github.com/"))
        checked += licence is not None
        assert licence is None or source.licence in licence, source.key
    assert checked >= 9


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
    with pytest.raises(FiqaError, match="did you mean.*crfiqa_s"):
        catalogue.find_model("crfiqa-s")


# --- the weights folder ---------------------------------------------------------------------------------


def test_the_weights_folder_is_in_the_project_unless_the_environment_says_otherwise(tmp_path, monkeypatch):
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))
    monkeypatch.delenv("FIQA_WEIGHTS", raising=False)
    assert place.weights_folder() == tmp_path / "weights"
    monkeypatch.setenv("FIQA_WEIGHTS", str(tmp_path / "elsewhere"))
    assert place.weights_folder() == tmp_path / "elsewhere"


def test_a_file_here_goes_before_one_in_the_weights_folder(tmp_path, monkeypatch):
    weights = tmp_path / "weights"
    weights.mkdir()
    monkeypatch.setenv("FIQA_WEIGHTS", str(weights))
    monkeypatch.chdir(tmp_path)
    (weights / "a.pth").touch()
    assert place.find("a.pth") == weights / "a.pth"
    (tmp_path / "a.pth").touch()
    assert place.find("a.pth").resolve() == tmp_path / "a.pth"
    assert str(place.find("b.pth")) == "b.pth"


# --- a catalogue of one model, whose file a server on this machine offers -------------------------------


def write_catalogue(folder, **model):
    """A catalogue with one recogniser `tiny`; `model` sets its fields."""
    source = {"paper": "Tiny networks", "page": "https://example.org/tiny", "licence": "CC BY 4.0",
              "terms": "Name the authors.", "get": "ask for it"}
    fields = {"source": "tiny", "kind": "recogniser", "architecture": ARCHITECTURE, "file": "tiny.pth"}
    path = folder / f"catalogue_{len(list(folder.glob('*.yaml')))}.yaml"
    path.write_text(yaml.safe_dump({"sources": {"tiny": source}, "models": {"tiny": fields | model}}))
    return path


class Shelf(BaseHTTPRequestHandler):
    """Offers `server.content`; breaks off after `server.breaks` bytes, or ignores ranges, where told to."""

    def do_GET(self):
        content, asked = self.server.content, self.headers.get("Range")
        self.server.ranges.append(asked)
        first = int(re.findall(r"\d+", asked)[0]) if asked and self.server.resumes else 0
        if self.server.status != 200:
            return self.send_error(self.server.status)
        if first >= len(content):
            return self.send_error(416)
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(content) - first))
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        self.wfile.write(content[first:self.server.breaks])

    def log_message(self, *_):
        pass


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A running server, an empty weights folder, and `offer(**fields)` to fill the catalogue."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shelf)
    server.content, server.ranges, server.breaks, server.resumes, server.status = CONTENT, [], None, True, 200
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    monkeypatch.setenv("FIQA_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    address = f"http://127.0.0.1:{server.server_port}/tiny.pth"

    def offer(**fields):
        fields = {"url": address, "sha256": hashlib.sha256(CONTENT).hexdigest()} | fields
        monkeypatch.setattr(catalogue, "CATALOGUE", write_catalogue(tmp_path, **fields))
        return catalogue.find_model("tiny")

    target = tmp_path / "weights" / "tiny.pth"
    yield SimpleNamespace(server=server, offer=offer, address=address, target=target,
                          partial=target.with_name("tiny.pth.partial"))
    server.shutdown()
    server.server_close()
    thread.join()


def weights(*arguments: str) -> int:
    return cli.main(["weights", *map(str, arguments)])


def test_fetch_shows_the_licence_and_brings_the_right_file(shop, capsys):
    shop.offer(size=len(CONTENT))
    assert weights("fetch", "tiny", "--accept-licence") == 0
    printed = capsys.readouterr().out
    assert printed.index("CC BY 4.0") < printed.index(str(shop.target))
    assert "Name the authors." in printed and shop.address in printed
    assert shop.target.read_bytes() == CONTENT and not shop.partial.exists()
    assert presence.state_of(catalogue.find_model("tiny")) == "valid"


def test_a_file_that_is_there_is_not_fetched_again(shop):
    model = shop.offer()
    for _ in range(2):
        assert fetch.fetch(model, accepted=True) == shop.target
    assert len(shop.server.ranges) == 1


def test_another_file_in_its_place_is_never_overwritten(shop):
    shop.target.parent.mkdir()
    shop.target.write_bytes(b"my own")
    with pytest.raises(FiqaError, match="not the published file"):
        fetch.fetch(shop.offer(), accepted=True)
    assert shop.target.read_bytes() == b"my own" and not shop.server.ranges


def test_fetch_says_how_far_it_is(shop, monkeypatch, capsys):
    monkeypatch.setattr(fetch, "progress", functools.partial(progress, every=0))
    fetch.fetch(shop.offer(), accepted=True)
    assert "fetching tiny: 4/4 MB" in capsys.readouterr().err


@pytest.mark.parametrize("answer, code", [("n", 2), ("", 2), ("y", 0)])
def test_the_terminal_is_asked_to_accept_the_licence(shop, monkeypatch, capsys, answer, code):
    shop.offer()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("builtins.input", lambda question: answer)
    assert weights("fetch", "tiny") == code
    assert "CC BY 4.0" in capsys.readouterr().out
    assert shop.target.exists() == (code == 0) and bool(shop.server.ranges) == (code == 0)


def test_without_a_terminal_the_licence_has_to_be_accepted_by_option(shop, monkeypatch, capsys):
    shop.offer()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: False))
    assert weights("fetch", "tiny") == 2
    printed = capsys.readouterr()
    assert "CC BY 4.0" in printed.out and "--accept-licence" in printed.err and not shop.server.ranges


def test_a_wrong_digest_keeps_nothing(shop, capsys):
    shop.offer(sha256="0" * 64)
    assert weights("fetch", "tiny", "--accept-licence") == 2
    message = capsys.readouterr().err
    assert "another file than the published one" in message and hashlib.sha256(CONTENT).hexdigest() in message
    assert not list(shop.target.parent.iterdir())


def test_a_truncated_file_is_told_by_its_size(shop, capsys):
    shop.offer(size=len(CONTENT))
    shop.server.content = CONTENT[:-1000]
    assert weights("fetch", "tiny", "--accept-licence") == 2
    assert f"sent {len(CONTENT) - 1000:,} bytes instead of {len(CONTENT):,}" in capsys.readouterr().err
    assert not list(shop.target.parent.iterdir())


def test_an_interrupted_download_goes_on_where_it_stopped(shop, capsys):
    shop.offer()
    shop.server.breaks = 2_500_000
    assert weights("fetch", "tiny", "--accept-licence") == 2
    message = capsys.readouterr().err
    kept = shop.partial.stat().st_size
    assert "broke off" in message and "goes on from there" in message and f"{kept:,} bytes" in message
    assert kept >= 2_000_000 and not shop.target.exists()
    shop.server.breaks = None
    assert weights("fetch", "tiny", "--accept-licence") == 0
    assert shop.server.ranges == [None, f"bytes={kept}-"]
    assert shop.target.read_bytes() == CONTENT and not shop.partial.exists()


def test_ctrl_c_keeps_what_has_arrived(shop, monkeypatch, capsys):
    def impatient(pieces, *_):
        yield next(iter(pieces))
        raise KeyboardInterrupt

    shop.offer()
    monkeypatch.setattr(fetch, "progress", impatient)
    assert weights("fetch", "tiny", "--accept-licence") == 130
    assert shop.partial.read_bytes() == CONTENT[:1_000_000]


def test_a_server_without_ranges_sends_everything_again(shop):
    shop.server.resumes = False
    shop.partial.parent.mkdir()
    shop.partial.write_bytes(CONTENT[:1000])
    assert fetch.fetch(shop.offer(), accepted=True).read_bytes() == CONTENT
    assert shop.server.ranges == ["bytes=1000-"]


@pytest.mark.parametrize("rest", [CONTENT, CONTENT + b"more"])
def test_a_rest_that_cannot_be_continued_starts_again(shop, rest):
    shop.partial.parent.mkdir()
    shop.partial.write_bytes(rest)
    assert fetch.fetch(shop.offer(), accepted=True).read_bytes() == CONTENT
    assert shop.server.ranges == [f"bytes={len(rest)}-", None]


def test_the_beginning_of_another_file_is_not_kept(shop):
    shop.partial.parent.mkdir()
    shop.partial.write_bytes(b"an older release")
    assert fetch.fetch(shop.offer(), accepted=True).read_bytes() == CONTENT
    assert shop.server.ranges == ["bytes=16-", None]


def test_an_unreachable_host_is_named(shop, capsys):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shop.offer(url=f"http://127.0.0.1:{port}/tiny.pth")
    assert weights("fetch", "tiny", "--accept-licence") == 2
    message = capsys.readouterr().err
    assert f"127.0.0.1:{port}/tiny.pth cannot be reached: Connection refused" in message
    assert "weights add tiny FILE" in message


def test_a_file_that_the_server_does_not_have_is_named(shop, capsys):
    shop.offer()
    shop.server.status = 404
    assert weights("fetch", "tiny", "--accept-licence") == 2
    assert "answers 404" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_named(shop, capsys):
    shop.offer()
    shop.target.parent.write_text("a file where the folder should be")
    assert weights("fetch", "tiny", "--accept-licence") == 2
    message = capsys.readouterr().err
    assert f"{shop.target} cannot be written" in message and "FIQA_WEIGHTS" in message


def test_what_cannot_be_fetched_says_how_to_get_it(shop, capsys):
    shop.offer(url=None)
    assert weights("fetch", "tiny", "--accept-licence") == 2
    message = capsys.readouterr().err
    assert "on https://example.org/tiny ask for it" in message and "weights add tiny FILE" in message


# --- a user's own files ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """An untrained network's state dict in a file, as its authors would have saved it."""
    path = tmp_path_factory.mktemp("mine") / "downloaded (1).pt"
    torch.manual_seed(0)
    torch.save(build_model(ARCHITECTURE).state_dict(), path)
    return path


def test_add_puts_a_file_that_loads_in_its_place(shop, checkpoint, capsys):
    model = shop.offer(url=None, sha256=None)
    assert presence.state_of(model) == "missing"
    assert weights("add", "tiny", checkpoint) == 0
    printed = capsys.readouterr().out
    assert f"loads as {ARCHITECTURE}" in printed
    assert f'load_recogniser("{ARCHITECTURE}", "tiny.pth")' in printed
    assert shop.target.read_bytes() == checkpoint.read_bytes() and not shop.target.is_symlink()
    assert presence.state_of(model) == "valid"
    assert weights("add", "tiny", checkpoint) == 0          # the same once more changes nothing


def test_add_can_link_instead_of_copying(shop, checkpoint):
    model = shop.offer(url=None, sha256=None)
    assert weights("add", "tiny", checkpoint, "--link") == 0
    assert shop.target.resolve() == checkpoint and presence.state_of(model) == "valid"


@pytest.mark.parametrize("fields, complaint", [
    ({"sha256": "0" * 64}, "not the published file: sha256"),
    ({"size": 10**9}, "truncated"),
    ({"size": 10}, "not the published file"),
])
def test_add_refuses_another_file(shop, checkpoint, capsys, fields, complaint):
    shop.offer(**{"url": None, "sha256": None} | fields)
    assert weights("add", "tiny", checkpoint) == 2
    assert complaint in capsys.readouterr().err and not shop.target.exists()


def test_add_says_which_architecture_a_file_fits_instead(shop, checkpoint, capsys, monkeypatch):
    from fiqa_core import architectures
    few = {name: architectures.ARCHITECTURES[name] for name in (ARCHITECTURE, "mobilefacenet_ediffiqa")}
    monkeypatch.setattr(architectures, "ARCHITECTURES", few)
    shop.offer(url=None, sha256=None, architecture="mobilefacenet_ediffiqa")
    assert weights("add", "tiny", checkpoint) == 2
    message = capsys.readouterr().err
    assert "missing" in message and ARCHITECTURE in message and not shop.target.exists()


class Hostile:
    """Unpickling it would make a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_add_runs_nothing_that_is_in_a_file(shop, tmp_path, capsys):
    shop.offer(url=None, sha256=None)
    torch.save({"state_dict": Hostile(tmp_path / "it ran")}, tmp_path / "hostile.pt")
    assert weights("add", "tiny", tmp_path / "hostile.pt") == 2
    assert "hostile.pt" in capsys.readouterr().err
    assert not shop.target.exists() and not (tmp_path / "it ran").exists()


def test_quality_networks_load_as_such(shop, tmp_path):
    from fiqa_core.architectures import build_model as build_any
    model = shop.offer(url=None, sha256=None, kind="quality", architecture="ediffiqa_T")
    torch.save(build_any("ediffiqa_T").state_dict(), tmp_path / "ediffiqaT.pth")
    presence.add(model, tmp_path / "ediffiqaT.pth")
    assert presence.check(model) == "as recorded"


@pytest.mark.parametrize("slug, loader, arguments", [
    ("adaface_ir101_webface12m", "fiqa_core.recognisers.load_recogniser", ["adaface_ir101"]),
    ("sface", "fiqa_core.recognisers.load_recogniser", ["sface"]),
    ("crfiqa_l", "fiqa_core.methods.files.load_quality", ["crfiqa_iresnet100"]),
    ("diffiqa", "fiqa_core.diffusion.model.load_diffusion", []),
    ("yunet", "fiqa_core.benchmarks.detectors.load_detector", []),
])
def test_each_kind_is_loaded_by_its_loader(monkeypatch, tmp_path, slug, loader, arguments):
    seen = []
    monkeypatch.setattr(loader, lambda *given: seen.append(list(given)))
    presence.load(MODELS[slug], tmp_path / "file")
    assert seen == [[*arguments, tmp_path / "file"]]


def test_without_a_network_the_tensors_are_read(shop, tmp_path, capsys):
    shop.offer(url=None, sha256=None, architecture=None)
    np.savez(tmp_path / "tensors.npz", weight=np.ones(3))
    assert weights("add", "tiny", tmp_path / "tensors.npz") == 0
    assert "its tensors are read" in capsys.readouterr().out
    (tmp_path / "torn.npz").write_bytes((tmp_path / "tensors.npz").read_bytes()[:-40])
    assert weights("add", "tiny", tmp_path / "torn.npz", "--replace") == 2


def test_add_replaces_only_when_told_to(shop, checkpoint, tmp_path):
    model = shop.offer(url=None, sha256=None)
    presence.add(model, checkpoint)
    state = torch.load(checkpoint, weights_only=True)
    torch.save({key: value + 1 for key, value in state.items()}, tmp_path / "other.pt")
    with pytest.raises(FiqaError, match="--replace"):
        presence.add(model, tmp_path / "other.pt")
    presence.add(model, tmp_path / "other.pt", replace=True)
    assert shop.target.read_bytes() == (tmp_path / "other.pt").read_bytes()


def test_check_loads_what_is_here_and_remembers_its_digest(shop, checkpoint, capsys):
    model = shop.offer(url=None, sha256=None)
    shop.target.parent.mkdir()
    shop.target.write_bytes(checkpoint.read_bytes())
    assert presence.state_of(model) == "unchecked"
    assert weights("check") == 0 and "tiny: first seen, loads as" in capsys.readouterr().out
    assert weights("check", "tiny") == 0 and "as recorded" in capsys.readouterr().out
    assert presence.state_of(model) == "valid"


def test_later_damage_is_noticed_even_without_a_published_digest(shop, checkpoint, capsys):
    model = shop.offer(url=None, sha256=None)
    presence.add(model, checkpoint)
    content = bytearray(shop.target.read_bytes())
    content[len(content) // 2] ^= 1
    shop.target.write_bytes(content)
    assert presence.state_of(model) == "unchecked"
    assert weights("check") == 1
    printed = capsys.readouterr().out
    assert printed.startswith("FAULT") and "has changed since it was recorded" in printed
    assert weights("add", "tiny", shop.target, "--replace") == 0
    assert weights("check") == 0


def test_a_file_of_the_wrong_size_is_damaged_without_being_read(shop):
    model = shop.offer(size=len(CONTENT))
    shop.target.parent.mkdir()
    shop.target.write_bytes(CONTENT[:100])
    assert presence.state_of(model) == "damaged"


def test_check_of_a_file_that_is_not_here_says_how_to_get_it(shop, capsys):
    shop.offer()
    assert weights("check", "tiny") == 1
    printed = capsys.readouterr().out
    assert "is not there" in printed and "weights fetch tiny" in printed
    assert weights("check") == 0 and "no official checkpoints" in capsys.readouterr().out


def test_only_the_beginning_of_a_digest_may_be_known(shop, checkpoint):
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    presence.add(shop.offer(url=None, sha256=digest[:8]), checkpoint)
    with pytest.raises(FiqaError, match="not the published file"):
        presence.add(shop.offer(url=None, sha256="00000000"), checkpoint)


def test_a_damaged_record_is_named(shop, checkpoint):
    model = shop.offer(url=None, sha256=None)
    presence.add(model, checkpoint)
    (shop.target.parent / presence.RECORD).write_text("{")
    with pytest.raises(FiqaError, match="checked.json is damaged"):
        presence.state_of(model)


def test_files_that_belong_together_are_added_together(shop, tmp_path, monkeypatch):
    model = shop.offer(url=None, sha256=None, file="tiny/ckpt-*.index", architecture=None)
    monkeypatch.setattr(presence, "load", lambda model, path: None)
    for name in ("ckpt-12.index", "ckpt-12.data-00000-of-00001", "ckpt-9.index", "config.py"):
        (tmp_path / name).write_text(name)
    presence.add(model, tmp_path / "ckpt-12.index")
    folder = shop.target.parent / "tiny"
    assert sorted(path.name for path in folder.iterdir()) == ["ckpt-12.data-00000-of-00001", "ckpt-12.index"]
    assert presence.path_of(model) == folder / "ckpt-12.index" and presence.state_of(model) == "valid"
    with pytest.raises(FiqaError, match="not of the form"):
        presence.add(model, tmp_path / "config.py")


# --- the tables -----------------------------------------------------------------------------------------


def test_list_shows_every_model_with_state_licence_and_way(shop, capsys):
    assert weights("list") == 0
    printed = capsys.readouterr().out
    lines = {line.split()[0]: line for line in printed.splitlines() if line.startswith("  ")}
    assert set(lines) == {"state"} | set(MODELS)
    assert re.search(r"missing +7\.3 MB +CC BY 4\.0 +weights fetch", lines["ediffiqa_t_opencv"])
    assert re.search(r"missing +\? +MIT +by hand: mk-minchul/AdaFace", lines["adaface_ir50_casia"])
    assert max(map(len, printed.splitlines())) <= 120


def test_list_of_one_tells_everything(capsys):
    assert weights("list", "crfiqa_s") == 0
    printed = capsys.readouterr().out
    for fact in ("arXiv 2112.06592", "https://github.com/fdbtrs/CR-FIQA", "CC BY-NC 4.0", "32572backbone.pth",
                 "174,679,421 bytes", MODELS["crfiqa_s"].sha256, "crfiqa_iresnet50",
                 "weights add crfiqa_s FILE"):
        assert fact in printed


def test_list_needs_no_heavy_package(tmp_path):
    code = ("import sys\nfrom fiqa_core import cli\ncli.main(['weights', 'list'])\n"
            "print([name for name in ('torch', 'pooch', 'requests', 'numpy') if name in sys.modules])")
    result = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True,
                            cwd=ROOT, env=os.environ | {"FIQA_WEIGHTS": str(tmp_path)})
    assert result.stdout.splitlines()[-1] == "[]", result.stderr


def test_an_unknown_slug_ends_with_code_2(capsys):
    assert weights("fetch", "crfiqa-s") == 2
    assert "did you mean" in capsys.readouterr().err


def test_convert_tells_what_it_left_out(monkeypatch, capsys, tmp_path):
    from fiqa_core.weights import convert
    seen = []
    monkeypatch.setattr(convert, "convert", lambda *paths: seen.append(paths) or ["os.system"])
    assert weights("convert", tmp_path / "old.ckpt", tmp_path / "new.pt") == 0
    printed = capsys.readouterr().out
    assert seen == [(tmp_path / "old.ckpt", tmp_path / "new.pt")]
    assert "new.pt" in printed and "without running it: os.system" in printed
