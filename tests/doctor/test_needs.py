"""What the doctor finds of benchmarks, checkpoints and detectors, and what it says about them."""
import hashlib
import os
import shutil
from types import SimpleNamespace

import pytest

from fiqa_core import cli
from fiqa_core.base.errors import FiqaError
from fiqa_core.benchmarks.loaders import FORMS
from fiqa_core.doctor import checkpoints, command, copies, facts, resources
from fiqa_core.doctor.costs import Costs
from fiqa_core.doctor.findings import Finding
from fiqa_core.doctor.plan import Estimate
from fiqa_core.doctor.report import aligned, cut, remedies, report, span, times, warning
from fiqa_core.doctor.workload import Faces
from fiqa_core.pipeline import suites
from fiqa_core.weights import catalogue, presence
from fiqa_core.weights.place import checkpoint_path
from tests.helpers.weights_shop import write_catalogue

LFW = {"form": "lfw", "folder": "lfw", "pairs": "pairs.txt", "detector": "mtcnn"}


class Steady:
    """A machine of one thousand million multiply-adds per second, for closed forms."""

    class device:
        type = "cpu"

    render, evaluation = 0.01, (1e-6, 1e-9)

    def pass_seconds(self, network):
        return network.adds / 1e9, "timed"

    def detect(self, detector, side):
        if detector == "nowhere.onnx":
            raise FiqaError("nowhere.onnx is missing", "get it")
        return 0.02


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty project and an empty weights folder."""
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))
    monkeypatch.setenv("FIQA_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path


@pytest.fixture
def small_lfw(root, monkeypatch):
    """A copy of a form "lfw" that was published with two pictures and three lines."""
    content = b"1\t1\nAnn\t1\t2\nAnn\t1\tBob\t1\n"
    form = facts.Form(
        "lfw",
        250,
        (
            facts.Expected(option="folder", pictures=2),
            facts.Expected(
                option="pairs", lines=3, sha256={hashlib.sha256(content).hexdigest(): "the official list"}
            ),
        ),
        "research",
        "fetch it",
    )
    monkeypatch.setattr(copies, "find_form", lambda name, where: form)
    (root / "lfw" / "Ann").mkdir(parents=True)
    for number in (1, 2):
        (root / "lfw" / "Ann" / f"Ann_{number:04d}.jpg").write_bytes(b"x")
    (root / "pairs.txt").write_bytes(content)
    return root


def test_a_complete_copy_is_present_and_says_what_was_counted(small_lfw):
    found = copies.official_finding("LFW", LFW)
    assert (found.state, found.detail, found.problem) == ("present", "2 pictures, the official list", False)


def test_a_missing_folder_tells_where_it_was_looked_for_and_how_to_get_it(small_lfw):
    shutil.rmtree(small_lfw / "lfw")
    found = copies.official_finding("LFW", LFW)
    assert (found.state, found.detail, found.terms, found.remedy) == (
        "missing",
        "no lfw",
        "research",
        "fetch it",
    )


def test_a_copy_with_too_few_pictures_is_mis_sized(small_lfw):
    (small_lfw / "lfw" / "Ann" / "Ann_0002.jpg").rename(small_lfw / "lfw" / "Ann" / "Ann_0002.txt")
    found = copies.official_finding("LFW", LFW)
    assert found.problem and found.detail == "lfw holds 1 pictures, published are 2"


def test_a_list_of_another_length_is_mis_sized_and_one_of_another_content_another_version(small_lfw):
    path = small_lfw / "pairs.txt"
    path.write_bytes(path.read_bytes().replace(b"Bob", b"Eve"))
    found = copies.official_finding("LFW", LFW)
    assert (found.state, found.problem) == ("other version",
                                            False) and "not the official list" in found.detail
    path.write_bytes(path.read_bytes() + b"one more")
    assert copies.official_finding("LFW", LFW).detail == "pairs.txt holds 4 lines, published are 3"


def test_missing_skip_leaves_a_benchmark_out_without_a_problem(small_lfw):
    shutil.rmtree(small_lfw / "lfw")
    faces = {"source": "official", "missing": "skip", "benchmarks": {"LFW": LFW, "YTF": None},
             "training": None}
    (found,) = copies.benchmark_findings(faces)
    assert (found.state, found.problem) == ("left out", False)


def test_an_unknown_form_is_explained(root):
    with pytest.raises(FiqaError, match="faces.X: there is no form 'lfv'"):
        copies.official_finding("X", {"form": "lfv"})


def test_every_form_that_loads_is_known_and_no_other():
    assert set(facts.forms()) == set(FORMS)


def test_lists_of_a_form_may_lie_elsewhere(root):
    form = facts.forms()["ijbc"]
    places = [path for _, path in copies.expected_paths(form, {"folder": "a", "meta": "b", "images": "/c"})]
    assert [str(path) for path in places[:2]] == ["/c", str(root / "b" / "ijbc_name_5pts_score.txt")]


def test_places_that_will_do_as_well_are_found(root):
    form = facts.forms()["ytf"]
    (root / "aligned_images_DB" / "Ann" / "0").mkdir(parents=True)
    found = dict(copies.expected_paths(form, {"folder": "."}))
    assert (
        found[form.expect[0]].name == "aligned_images_DB"
        and copies.counted("folders", found[form.expect[0]]) == 1
    )


@pytest.mark.parametrize("content, number",
                         [(b"", 0), (b"a\nb\n", 2), (b"a\nb", 2), (b"\n", 1), (b"x\n" * 700_000, 700_000)])
def test_lines_are_counted_with_and_without_a_last_line_end(tmp_path, content, number):
    (tmp_path / "list").write_bytes(content)
    assert copies.lines(tmp_path / "list") == number


@pytest.fixture
def tiny(root, monkeypatch):
    """A catalogue with one recogniser tiny.pth of 8 bytes, whose licence is CC BY 4.0."""
    monkeypatch.setattr(catalogue, "CATALOGUE",
                        write_catalogue(root, size=8, sha256=hashlib.sha256(b"12345678").hexdigest()))
    (root / "weights").mkdir()
    return root / "weights" / "tiny.pth"


def finding(**options):
    return checkpoints.checkpoint_finding("recognisers", "own",
                                          {"architecture": "iresnet50", "checkpoint": "tiny.pth", **options})


def test_a_missing_checkpoint_tells_licence_and_remedy(tiny):
    found = finding()
    assert (found.state, found.terms) == ("missing", "CC BY 4.0") and "weights add tiny FILE" in found.remedy


def test_a_checkpoint_of_the_wrong_size_is_mis_sized(tiny):
    tiny.write_bytes(b"1234")
    assert finding().problem and "4 bytes instead of 8" in finding().detail


def test_a_checkpoint_is_unverified_until_it_was_checked_and_unknown_without_a_published_digest(
    tiny, root, monkeypatch
):
    tiny.write_bytes(b"12345678")
    assert (finding().state, finding().problem) == ("unverified", False)
    presence.remember(tiny, presence.sha256_of(tiny))
    assert finding().state == "present"
    tiny.with_name("checked.json").unlink()
    monkeypatch.setattr(catalogue, "CATALOGUE", write_catalogue(root))
    assert (finding().state, finding().problem) == ("hash unknown", False)


def test_a_checkpoint_of_ones_own_is_only_looked_for(tiny, root):
    assert finding(checkpoint="mine.pth").state == "missing"
    (root / "mine.pth").write_bytes(b"1")
    assert finding(checkpoint="mine.pth").state == "hash unknown"
    assert finding(checkpoint=str(root / "mine.pth")).state == "hash unknown"


def test_of_several_files_that_fit_the_newest_counts(tiny, root):
    (root / "ckpts").mkdir()
    for age, name in enumerate(("ckpt-9.index", "ckpt-10.index")):
        (root / "ckpts" / name).write_bytes(b"1")
        os.utime(root / "ckpts" / name, (1000 + age, 1000 + age))
    assert checkpoint_path("ckpts/ckpt-*.index") == root / "ckpts" / "ckpt-10.index"
    assert checkpoint_path("none/ckpt-*.index") == root / "weights" / "none" / "ckpt-*.index"
    assert finding(checkpoint="ckpts/ckpt-*.index").state == "hash unknown"


def test_an_architecture_that_does_not_exist_is_no_network(tiny):
    assert finding(architecture="iresnet51").state == "no network"


def test_detectors_are_named_once_and_a_missing_one_has_its_remedy(root):
    faces = {
        "benchmarks": {
            "A": {"detector": "yunet"},
            "B": {"detector": "mtcnn"},
            "C": {"detector": "yunet"},
            "D": None,
        }
    }
    yunet, mtcnn = checkpoints.detector_findings(faces)
    assert (yunet.name, yunet.state, mtcnn.state) == ("yunet", "missing", "present")
    assert yunet.remedy == "python -m fiqa_core weights fetch yunet"


def test_too_little_disk_and_memory_are_problems(root, monkeypatch):
    suite, sets = suites.load_suite("demo"), [Faces("training", 7200), Faces("LFW", 900, 3000, 10000)]
    costs = Costs(suite, Steady())
    disk = {need.what: need.amount for need in resources.disk_needs(suite, sets, costs)}
    assert disk["faces"] == 2 * 112 * 112 * 3 * 8100 and disk["embeddings"] == 2 * 4 * 900 * 8 * 128
    monkeypatch.setattr(resources, "free_disk", lambda: int(1e7))
    monkeypatch.setattr(resources, "free_memory", lambda: int(1e12))
    disk, memory = resources.resource_findings(suite, sets, costs)
    assert (disk.state, memory.state) == ("too little", "present") and "0.0 GB free" in disk.detail


def test_on_a_gpu_the_networks_need_its_memory_and_the_pairs_do_not(root, monkeypatch):
    suite, sets = suites.load_suite("demo"), [Faces("training", 7200), Faces("LFW", 900, 3000, 10000)]
    machine = Steady()
    on_cpu = resources.resource_findings(suite, sets, Costs(suite, machine))
    monkeypatch.setattr(machine, "device", SimpleNamespace(type="cuda"))
    monkeypatch.setattr(resources.torch.cuda, "mem_get_info", lambda device: (10**6, 10**9))
    disk, memory, gpu = resources.resource_findings(suite, sets, Costs(suite, machine))
    assert [finding.name for finding in on_cpu] == ["disk", "memory"] and disk == on_cpu[0]
    assert (gpu.name, gpu.state) == ("GPU memory",
                                     "too little") and "most of all to evaluate" not in gpu.detail
    assert memory.detail != on_cpu[1].detail


def test_evaluation_memory_counts_the_two_largest_benchmarks(root):
    suite = suites.load_suite("demo")
    small, large = Faces("a", 10, 1000, 1000), Faces("b", 10, 2000, 5000)
    alone = resources.evaluation_memory(suite, [large]) - resources.PROCESS
    assert alone == 3 * 4 * 2000 * 1000 + 7000 * (32 + 8 * 8)
    both = resources.evaluation_memory(suite, [small, large])
    assert resources.evaluation_memory(suite, [small, large, Faces("c", 10, 10, 10)]) == both > alone


def test_remedies_are_told_once_and_fetches_in_one_command():
    found = [
        Finding("a", "x", "missing", "", remedy="python -m fiqa_core weights fetch sface"),
        Finding("a", "y", "missing", "", remedy="python -m fiqa_core weights fetch yunet"),
        Finding("a", "z", "missing", "", remedy="ask"),
        Finding("a", "v", "missing", "", remedy="ask"),
        Finding("a", "w", "unverified", "", remedy="look"),
    ]
    assert remedies(found) == ["what to do:", "  z, v: ask",
                               "  python -m fiqa_core weights fetch sface yunet", "  (w: look)", "",
                               "4 problems: a run would stop, or measure less than it says."]
    assert remedies([Finding("a", "x", "present", "")]) == ["nothing is missing."]


def test_small_stages_share_a_line_and_count_in_the_sum():
    plan = [Estimate("long", "work", 1000, "timed"), Estimate("a", "", 4, "assumed"),
            Estimate("b", "", 5, "assumed")]
    text = "\n".join(times(plan))
    assert "2 smaller stages" in text and "9 s" in text and "16 min 49 s" in text
    assert "timed:" in text and "assumed:" not in text


@pytest.mark.parametrize("seconds, text",
                         [(59, "59 s"), (3700, "1 h 01 min"), (3 * 86_400, "3 days"), (1e8, "3 years")])
def test_spans_are_told_as_people_plan(seconds, text):
    assert span(seconds) == text


def test_columns_are_aligned_and_long_cells_cut():
    assert aligned([("a", "bb", ""), ("ccc", "d", "e")]) == ["a    bb", "ccc  d   e"]
    assert cut("abcdefgh", 6) == "abc..." and cut("abc", 6) == "abc"


def test_a_busy_processor_is_told():
    assert (
        warning(0.1, 100) == [] and "75% of" in warning(0.75, 10)[0] and "about 40 s" in warning(0.75, 10)[0]
    )


@pytest.mark.parametrize("name", ["demo", "ci", "faces", "open", "paper"])
def test_every_suite_is_examined(root, name):
    text, sound = command.examine(suites.load_suite(name), Steady())
    assert text.startswith(f"suite {name}: ") and sound == (name in ("demo", "ci"))
    assert ("nothing is missing." in text) == sound


def test_the_exit_code_tells_whether_a_suite_can_run(root, monkeypatch, capsys):
    monkeypatch.setattr(command, "Machine", Steady)
    assert cli.main(["doctor", "--suite", "demo"]) == 0
    assert cli.main(["doctor", "--suite", "open"]) == 1
    assert "weights fetch sface lightqnet_dm100 ediffiqa_t_opencv yunet" in capsys.readouterr().out
    assert cli.main(["doctor", "--suite", "demo", "--set", "methods.faceqan.repeat=3"]) == 1
    assert "methods.faceqan.repeat  ! unknown key" in capsys.readouterr().out


def test_without_a_suite_the_active_one_is_examined(root, monkeypatch, capsys):
    monkeypatch.setattr(command, "Machine", Steady)
    suites.write_params("ci")
    assert cli.main(["doctor"]) == 0
    assert capsys.readouterr().out.startswith("suite ci: ")


def test_measured_run_times_count_only_for_the_same_suite_and_machine(root):
    suites.write_params("ci")
    (root / "results" / "runtime").mkdir(parents=True)
    (root / "results" / "runtime" / "methods.csv").write_text(
        "method,batch_ms,processor,threads\n"
        f"FaceQAN,20,this,{command.torch.get_num_threads()}\nDifFIQA,30,that,1\n"
    )
    assert command.measured("ci", "this") == {"FaceQAN": 0.02}
    assert command.measured("demo", "this") == {} and command.measured("ci", "other") == {}


def test_the_report_names_suite_machine_findings_and_stages():
    text = report(suites.load_suite("demo"), "one core",
                  [Finding("faces", "LFW", "missing", "no lfw", "research", "get it")],
                  [Estimate("embed", "much", 60, "timed")])
    for part in ("suite demo: 8 benchmarks, 8 recognisers compared; on one core", "! missing", "research",
                 "1 min 00 s", "LFW: get it", "1 problem:"):
        assert part in text
