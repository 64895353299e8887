"""What the doctor prints, and its exit code."""
import pytest
import torch

from fiqa_core import cli
from fiqa_core.doctor import report
from fiqa_core.doctor.estimates import Estimate
from fiqa_core.doctor.needs import Finding
from fiqa_core.doctor.report import aligned, cut, remedies, span, times
from fiqa_core.pipeline import suites
from tests.helpers.steady_machine import Steady


def test_remedies_are_told_once_and_fetches_in_one_command():
    cures = {"x": "python -m fiqa_core weights fetch sface", "y": "python -m fiqa_core weights fetch yunet",
             "z": "ask", "v": "ask"}
    found = [Finding("a", name, "missing", "", remedy=cure) for name, cure in cures.items()]
    found.append(Finding("a", "w", "unverified", "", remedy="look"))
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
    assert [cut("abcdefgh", width) for width in (6, 8)] == ["abc...", "abcdefgh"]


@pytest.mark.parametrize("name", ["scratch", "pretrain", "faces", "open", "paper"])
def test_every_suite_is_examined(root, name):
    text, sound = report.report(suites.load_suite(name), Steady())
    assert text.startswith(f"suite {name}: ") and sound == (name in ("scratch", "pretrain"))
    assert ("nothing is missing." in text) == sound


def test_the_exit_code_tells_whether_a_suite_can_run_by_default_the_active_one(root, monkeypatch, capsys):
    monkeypatch.setattr(report, "Machine", Steady)
    suites.write_params("pretrain")
    for options, code, told in (
            ("--suite scratch", 0, "suite scratch: "), ("", 0, "suite pretrain: "),
            ("--suite open", 1, "fetch sface lightqnet_dm100 ediffiqa_t_opencv yunet"),
            ("--suite paper --set recognisers.adaface.architecture=r51", 1, "no architecture 'r51'"),
            ("--suite scratch --set on_recogniser.faceqan.repeat=3", 1, "faceqan.repeat  ! unknown key")):
        assert cli.main(["doctor", *options.split()]) == code
        assert told in capsys.readouterr().out


def test_measured_run_times_count_only_for_the_same_suite_and_machine(root):
    suites.write_params("ci")
    (root / "results" / "ci" / "runtime").mkdir(parents=True)
    (root / "results" / "ci" / "runtime" / "methods.csv").write_text(
        f"method,batch_ms,processor,threads\nFaceQAN,20,this,{torch.get_num_threads()}\nDifFIQA,30,that,1\n")
    assert report.measured("ci", "this") == {"FaceQAN": 0.02}
    assert report.measured("demo", "this") == {} and report.measured("ci", "other") == {}


def test_the_report_names_suite_machine_findings_and_stages():
    text = report.text(suites.load_suite("scratch"), "one core",
                       [Finding("faces", "LFW", "missing", "no lfw", "research", "get it")],
                       [Estimate("embed", "much", 60, "timed")])
    for part in ("suite scratch: 8 benchmarks, 8 recognisers compared; on one core", "! missing", "research",
                 "1 min 00 s", "LFW: get it", "1 problem:"):
        assert part in text
