"""What the doctor finds of benchmarks, checkpoints and detectors."""
import hashlib
import os
import shutil

import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import sha256
from fiqa_core.benchmarks.loaders import facts
from fiqa_core.benchmarks.loaders.listing import Expected, Facts
from fiqa_core.doctor import needs
from fiqa_core.weights import catalogue, presence
from fiqa_core.weights.place import checkpoint_path
from tests.helpers.weights_shop import write_catalogue

LFW = {"form": "lfw", "folder": "lfw", "pairs": "pairs.txt", "detector": "mtcnn"}
CONTENT = b"1\t1\nAnn\t1\t2\nAnn\t1\tBob\t1\n"


@pytest.fixture
def small_lfw(root, monkeypatch):
    """A copy of a form "lfw" that was published with two pictures and three lines."""
    published = {hashlib.sha256(CONTENT).hexdigest(): "the official list"}
    form = Facts("research", "fetch it", expect=(Expected("folder", pictures=2),
                                                 Expected("pairs", lines=3, sha256=published)))
    monkeypatch.setattr(needs, "facts", lambda name, where: form)
    (root / "lfw" / "Ann").mkdir(parents=True)
    for number in (1, 2):
        (root / "lfw" / "Ann" / f"Ann_{number:04d}.jpg").write_bytes(b"x")
    (root / "pairs.txt").write_bytes(CONTENT)
    return root


@pytest.mark.parametrize("damage, state, detail, problem", [
    (lambda root: None, "present", "2 pictures, the official list", False),
    (lambda root: shutil.rmtree(root / "lfw"), "missing", "no lfw", True),
    (lambda root: (root / "lfw/Ann/Ann_0002.jpg").rename(root / "lfw/Ann/Ann_0002.txt"),
     "mis-sized", "lfw holds 1 pictures, published are 2", True),
    (lambda root: (root / "pairs.txt").write_bytes(CONTENT.replace(b"Bob", b"Eve")),
     "other version", "pairs.txt is not the official list", False),
    (lambda root: (root / "pairs.txt").write_bytes(CONTENT + b"one more"),
     "mis-sized", "pairs.txt holds 4 lines, published are 3", True)])
def test_a_benchmark_is_there_whole_and_as_published_or_the_finding_says_what_it_is(small_lfw, damage, state,
                                                                                    detail, problem):
    damage(small_lfw)
    found = needs.official_finding("LFW", LFW)
    assert (found.state, found.detail, found.problem, found.terms) == (state, detail, problem, "research")
    assert ("fetch it" in found.remedy) == problem


def test_missing_skip_leaves_a_benchmark_out_without_a_problem(small_lfw):
    shutil.rmtree(small_lfw / "lfw")
    faces = {"source": "official", "missing": "skip", "benchmarks": {"LFW": LFW, "YTF": None},
             "training": None}
    (found,) = needs.benchmark_findings(faces)
    assert (found.state, found.problem, found.remedy) == ("left out", False, "")


def test_an_unknown_form_is_explained(root):
    with pytest.raises(FiqaError, match="faces.X: no form is called 'lfv'"):
        needs.official_finding("X", {"form": "lfv"})


def test_lists_of_a_form_may_lie_elsewhere_and_places_that_will_do_as_well_are_found(root):
    options = {"folder": "a", "meta": "b", "images": "/c"}
    places = [path for _, path in needs.expected_paths(facts("ijbc"), options)]
    assert [str(path) for path in places[:2]] == ["/c", str(root / "b" / "ijbc_name_5pts_score.txt")]
    form = facts("ytf")
    (root / "aligned_images_DB" / "Ann" / "0").mkdir(parents=True)
    place = dict(needs.expected_paths(form, {"folder": "."}))[form.expect[0]]
    assert place.name == "aligned_images_DB" and needs.counted("folders", place) == 1


@pytest.mark.parametrize("content, number",
                         [(b"", 0), (b"a\nb\n", 2), (b"a\nb", 2), (b"\n", 1), (b"x\n" * 700_000, 700_000)])
def test_lines_are_counted_with_and_without_a_last_line_end(tmp_path, content, number):
    (tmp_path / "list").write_bytes(content)
    assert needs.lines(tmp_path / "list") == number


@pytest.fixture
def tiny(root, monkeypatch):
    """A catalogue with one recogniser tiny.pth of 8 bytes, whose licence is CC BY 4.0."""
    monkeypatch.setattr(catalogue, "CATALOGUE",
                        write_catalogue(root, size=8, sha256=hashlib.sha256(b"12345678").hexdigest()))
    (root / "weights").mkdir()
    return root / "weights" / "tiny.pth"


def finding(**options):
    return needs.checkpoint_finding("recognisers", "own",
                                    {"architecture": "iresnet50", "checkpoint": "tiny.pth", **options})


def test_an_official_checkpoint_is_missing_mis_sized_unverified_or_present(tiny, root, monkeypatch):
    assert (finding().state, finding().terms) == ("missing", "CC BY 4.0")
    assert "weights add tiny FILE" in finding().remedy
    tiny.write_bytes(b"1234")
    assert finding().problem and "4 bytes instead of 8" in finding().detail
    tiny.write_bytes(b"12345678")
    assert (finding().state, finding().problem) == ("unverified", False)
    presence.remember(tiny, sha256(tiny))
    assert finding().state == "present"
    tiny.with_name("checked.json").unlink()
    monkeypatch.setattr(catalogue, "CATALOGUE", write_catalogue(root))      # no published digest
    assert (finding().state, finding().problem) == ("hash unknown", False)


def test_a_checkpoint_of_ones_own_is_only_looked_for(tiny, root):
    assert finding(checkpoint="mine.pth").state == "missing"
    assert finding(architecture="iresnet51").state == "no network"
    (root / "mine.pth").write_bytes(b"1")
    for path in ("mine.pth", str(root / "mine.pth")):
        assert finding(checkpoint=path).state == "hash unknown"


def test_of_several_files_that_fit_the_newest_counts(tiny, root):
    (root / "ckpts").mkdir()
    for age, name in enumerate(("ckpt-9.index", "ckpt-10.index")):
        (root / "ckpts" / name).write_bytes(b"1")
        os.utime(root / "ckpts" / name, (1000 + age, 1000 + age))
    assert checkpoint_path("ckpts/ckpt-*.index") == root / "ckpts" / "ckpt-10.index"
    assert checkpoint_path("none/ckpt-*.index") == root / "weights" / "none" / "ckpt-*.index"
    assert finding(checkpoint="ckpts/ckpt-*.index").state == "hash unknown"


def test_detectors_are_named_once_and_a_missing_one_has_its_remedy(root):
    named = {"A": "yunet", "B": "mtcnn", "C": "yunet"}
    faces = {"benchmarks": {name: {"detector": detector} for name, detector in named.items()} | {"D": None}}
    yunet, mtcnn = needs.detector_findings(faces)
    assert (yunet.name, yunet.state, mtcnn.state) == ("yunet", "missing", "present")
    assert yunet.remedy == "python -m fiqa_core weights fetch yunet"
