"""How long stages take: closed forms on a machine whose rates are known."""
import pytest

from fiqa_core.base.method import Method
from fiqa_core.doctor import estimates as module
from fiqa_core.doctor.estimates import START, Costs, estimates
from fiqa_core.doctor.machine import diffusion_pass, recogniser_pass
from fiqa_core.doctor.workload import Faces
from fiqa_core.pipeline import suites
from fiqa_core.registry import methods
from tests.helpers.steady_machine import Steady

PAPER, DEMO = suites.load_suite("paper"), suites.load_suite("scratch")
SETS = [Faces("training", 1000), Faces("LFW", 600, 3000, 3000, 250, "mtcnn"), Faces("IJB-C", 400, 100, 9000)]
R100, U_NET = recogniser_pass(PAPER["recognisers"]["cosface"]).adds / 1e9, diffusion_pass({}).adds / 1e9


def plan(suite, sets=SETS, runtime=None):
    return {line.stage: line for line in estimates(Costs(suite, sets, Steady()), runtime or {})}


@pytest.mark.parametrize("slug, changes, seconds",
                         [("faceqan", {}, (10 * (2 * 4 + 1) + 2) * R100),
                          ("faceqan", {"repeats": 2, "iterations": 1}, 4 * R100),
                          ("diffiqa", {}, 2 * 10 * 5 * U_NET + 42 * R100), ("prefiqs", {}, 2 * R100),
                          ("grafiqs", {}, 3 * R100), ("magface", {}, R100), ("pcnet", {}, R100),
                          ("ser_fiq", {}, R100 + 100 * 25088 * 512 / 1e9), ("cr_fiqa", {}, R100),
                          ("ediffiqa_s", {}, 2.61), ("lightqnet", {}, 0.03723)])
def test_methods_cost_their_passes(slug, changes, seconds):
    assert Costs(PAPER, SETS, Steady()).method(slug, **changes)[0] == pytest.approx(seconds, rel=2e-3)


def test_a_new_method_and_its_line_are_enough_to_stand_in_the_plan(monkeypatch):
    learner = Method("mine", "Mine", lambda backbone: backbone, needs=("model",), training={"epochs": 2},
                     train=lambda *_: None)
    scorer = Method("other", "Other", lambda recogniser: recogniser, needs=("recogniser",),
                    passes=lambda options, network: 7)
    monkeypatch.setitem(methods(), "mine", learner)
    monkeypatch.setitem(methods(), "other", scorer)
    suite = {**PAPER, "trained": {"mine": {}}, "on_recogniser": {"other": {"recogniser": "magface"}}}
    found = plan(suite)
    assert found["score other"].seconds == pytest.approx(START + 7 * 1000 * R100)
    assert found["score mine"].seconds == pytest.approx(START + 1000 * R100)
    assert found["train mine"].seconds == pytest.approx(START + 3 * 2 * 1000 * R100)


def test_every_face_passes_twice_to_be_embedded_and_thrice_an_epoch_in_training():
    found, paper, adds = plan(DEMO), plan(PAPER), recogniser_pass(DEMO["recognisers"]["arcface"]).adds / 1e9
    assert found["recogniser arcface"].seconds == pytest.approx(START + 3 * 8 * 1000 * adds)
    adds = sum(recogniser_pass(config).adds / 1e9 for config in PAPER["recognisers"].values()
               if config.get("compare", True))
    assert paper["embed"].seconds == pytest.approx(START + 2 * 1000 * adds)
    learnt = {"label", "distil diffiqa_r", "diffusion", "recogniser arcface", "train cr_fiqa"}
    assert learnt <= set(found) and not learnt & set(paper)         # checkpoints take none


def test_frozen_trunks_are_passed_once_whatever_the_epochs():
    more = suites.chosen_suite("scratch", ["trained.pfe.epochs=200", "trained.pcnet.epochs=6"])
    assert plan(DEMO)["train pfe"].seconds == plan(more)["train pfe"].seconds
    assert plan(more)["train pcnet"].seconds - START == pytest.approx(
        2 * (plan(DEMO)["train pcnet"].seconds - START))


def test_detection_is_timed_and_a_detector_that_is_not_there_assumed():
    found = plan(PAPER)["prepare"]
    assert (found.seconds, found.basis) == (pytest.approx(START + 600 * 0.02 + 1400 * 0.004), "assumed")
    assert plan(PAPER, SETS[1:2])["prepare"].basis == "scaled"
    assert plan(PAPER, [Faces("LFW", 600, side=250, detector="nowhere.onnx")])["prepare"].basis == "assumed"
    assert plan(DEMO)["prepare"].seconds == pytest.approx(START + 2000 * 0.01)


def test_what_stage_time_measured_is_taken_in_the_share_of_its_repeats():
    found, costs = plan(DEMO, runtime={"FaceQAN": 0.5, "DifFIQA": 3.0}), Costs(DEMO, SETS, Steady())
    assert found["score faceqan"].seconds == pytest.approx(START + 1000 * 0.5)
    share = costs.method("diffiqa")[0] / costs.method("diffiqa", repeats=10)[0]
    assert found["score diffiqa"].seconds == pytest.approx(START + 1000 * 3.0 * share)
    assert (found["score diffiqa"].basis, found["score magface"].basis) == ("measured", "timed")


def test_evaluation_grows_with_pairs_and_with_resamples(monkeypatch):
    monkeypatch.setattr(module.os, "cpu_count", lambda: 2)
    judges = len(Costs(DEMO, SETS, Steady()).methods) + 2
    seconds = 8 * (15_100 * module.COMPARE + 3100 * judges * 1000 * module.WEIGH)
    assert plan(DEMO)["evaluate"].seconds == pytest.approx(START + seconds / 2, rel=1e-6)
