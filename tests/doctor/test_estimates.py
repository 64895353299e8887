"""How much work a suite means and how long it takes: closed forms on a machine whose rates are known."""
import pandas as pd
import pytest
import torch

from fiqa_core.doctor import machine, workload
from fiqa_core.doctor.costs import Costs
from fiqa_core.doctor.machine import Machine, free_disk, free_memory, repeated
from fiqa_core.doctor.networks import (ATTENTION, CONVOLUTION, architecture_pass, diffusion_pass,
                                       recogniser_pass)
from fiqa_core.doctor.plan import START, estimates
from fiqa_core.doctor.workload import Faces, face_sets
from fiqa_core.pipeline import suites
from tests.doctor.test_needs import Steady, root

__all__ = ["root"]
PAPER, DEMO = suites.load_suite("paper"), suites.load_suite("demo")
SETS = [Faces("training", 1000), Faces("LFW", 600, 3000, 3000, 250, "mtcnn"), Faces("IJB-C", 400, 100, 9000)]


@pytest.mark.parametrize(
    "name, millions, parameters, family",
    [
        ("iresnet18", 2610, 24_025_600, CONVOLUTION),
        ("adaface_ir101", 12_077, 65_150_912, CONVOLUTION),
        ("transface_vit_s", 5757, 86_660_864, ATTENTION),
        ("swinface_backbone", 4480, 28_895_226, ATTENTION),
        ("mobilefacenet_xiaoccer", 189.4, 999_552, CONVOLUTION),
        ("lightqnet_dm100", 37.23, 429_465, CONVOLUTION),
    ],
)
def test_passes_cost_what_the_dossier_counted(name, millions, parameters, family):
    found = architecture_pass(name)
    assert found.adds / 1e6 == pytest.approx(millions, rel=1e-3)
    assert (found.parameters, found.family) == (parameters, family)
    assert 0 < found.widest < found.outputs


def test_the_published_u_net_costs_87_thousand_million():
    assert diffusion_pass({"checkpoint": "diff_pretrain.pt"}).adds / 1e9 == pytest.approx(86.70, rel=1e-3)
    assert diffusion_pass(DEMO["diffusion"]).adds < 0.1e9


def test_methods_cost_their_passes():
    costs = Costs(PAPER, Steady())
    r100 = recogniser_pass(PAPER["recognisers"]["cosface"]).adds / 1e9
    u_net = diffusion_pass({}).adds / 1e9
    assert costs.method("faceqan")[0] == pytest.approx((10 * (2 * 4 + 1) + 2) * r100)
    assert costs.method("faceqan", repeats=2, iterations=1)[0] == pytest.approx(4 * r100)
    assert costs.method("diffiqa")[0] == pytest.approx(2 * 10 * 5 * u_net + 42 * r100)
    assert costs.method("prefiqs")[0] == pytest.approx(2 * r100)
    assert costs.method("grafiqs")[0] == pytest.approx(3 * r100)
    assert costs.method("magface")[0] == pytest.approx(r100)
    assert costs.method("ser_fiq")[0] == pytest.approx(r100 + 100 * 25088 * 512 / 1e9)
    assert costs.method("cr_fiqa")[0] == pytest.approx(r100, rel=1e-3)
    assert costs.method("ediffiqa_s")[0] == pytest.approx(2.61, rel=1e-2)
    assert costs.method("lightqnet")[0] == pytest.approx(0.03723, rel=1e-3)
    assert costs.learner("pcnet")[0] == pytest.approx(r100)


def plan(suite, sets=SETS, runtime=None):
    return {estimate.stage: estimate for estimate in estimates(suite, sets, Steady(), runtime or {})}


def test_embedding_takes_every_face_twice_through_every_compared_recogniser():
    adds = sum(recogniser_pass(config).adds for config in PAPER["recognisers"].values()
               if config.get("compare", True))
    assert plan(PAPER)["embed"].seconds == pytest.approx(START + 2 * 1000 * adds / 1e9)


def test_training_takes_three_passes_per_face_and_epoch_and_checkpoints_take_none():
    found, adds = plan(DEMO), recogniser_pass(DEMO["recognisers"]["arcface"]).adds
    assert found["recogniser arcface"].seconds == pytest.approx(START + 3 * 8 * 1000 * adds / 1e9)
    assert {"label", "distil diffiqa_r", "diffusion"} <= set(found)
    assert not {"label", "distil diffiqa_r", "diffusion", "recogniser arcface", "train cr_fiqa"} & set(
        plan(PAPER)
    )


def test_frozen_trunks_are_passed_once_whatever_the_epochs():
    more = suites.chosen_suite("demo", ["baselines.pfe.epochs=200"])
    assert plan(DEMO)["train pfe"].seconds == plan(more)["train pfe"].seconds
    more = suites.chosen_suite("demo", ["baselines.pcnet.epochs=6"])
    assert plan(more)["train pcnet"].seconds - START == pytest.approx(
        2 * (plan(DEMO)["train pcnet"].seconds - START)
    )


def test_detection_is_timed_and_a_detector_that_is_not_there_assumed():
    assert plan(PAPER)["prepare"].seconds == pytest.approx(START + 600 * 0.02 + 1400 * 0.004)
    absent = [Faces("LFW", 600, side=250, detector="nowhere.onnx")]
    assert (plan(PAPER, absent)["prepare"].basis, plan(PAPER, SETS[1:2])["prepare"].basis) == (
        "assumed",
        "scaled",
    )
    assert plan(DEMO)["prepare"].seconds == pytest.approx(START + 2000 * 0.01)


def test_what_stage_time_measured_is_taken_in_the_share_of_its_repeats():
    found = plan(DEMO, runtime={"FaceQAN": 0.5, "DifFIQA": 3.0})
    assert found["score faceqan"].seconds == pytest.approx(START + 1000 * 0.5)
    costs = Costs(DEMO, Steady())
    share = costs.method("diffiqa")[0] / costs.method("diffiqa", repeats=10)[0]
    assert found["score diffiqa"].seconds == pytest.approx(START + 1000 * 3.0 * share)
    assert (found["score diffiqa"].basis, found["score magface"].basis) == ("measured", "timed")


def test_evaluation_grows_with_pairs_and_with_resamples():
    seconds = 8 * (15_100 * 1e-6 + 3100 * (len(Costs(DEMO, Steady()).slugs()) + 2) * 1000 * 1e-9)
    assert (
        plan(DEMO)["evaluate"].seconds == pytest.approx(START + seconds / 2, rel=1e-6)
        or machine.os.cpu_count() == 1
    )


def test_rendered_sets_have_the_sizes_that_rendering_gives_them(root):
    sets = {faces.name: faces for faces in face_sets(DEMO)}
    assert (sets["training"].images, sets["LFW"].images, sets["LFW"].genuine) == (7200, 896, 3000)
    assert (sets["IJB-C"].images, sets["YTF"].images, sets["YTF"].genuine) == (1210, 1288, 1932)


def test_prepared_sets_are_counted_for_the_suite_that_prepared_them(root):
    suites.write_params("demo")
    (root / "results" / "prepare").mkdir(parents=True)
    pd.DataFrame(
        {"name": ["LFW"], "images": [7], "identities": [1], "templates": [7], "genuine": [3], "impostor": [4]}
    ).to_csv(root / "results" / "prepare" / "faces.csv", index=False)
    assert [faces.images for faces in face_sets(DEMO) if faces.name == "LFW"] == [7]
    assert [faces.images for faces in face_sets(suites.load_suite("ci")) if faces.name == "LFW"] != [7]


def test_official_sets_are_as_published_and_folders_are_counted(root):
    sizes = {faces.name: faces for faces in face_sets(PAPER)}
    assert (sizes["IJB-C"].images, sizes["IJB-C"].impostor, sizes["IJB-C"].detector) == (
        469_375,
        15_638_932,
        None,
    )
    assert sizes["training"].images == 4000 * 30 and sizes["CFP-FP"].genuine == 3500
    (root / "mine" / "Ann").mkdir(parents=True)
    for number in range(3):
        (root / "mine" / "Ann" / f"{number}.jpg").write_bytes(b"")
    (root / "mine" / "pairs.csv").write_text("a,b,genuine\n" + "x,y,1\n" * 10)
    found = workload.official("Faces", {"form": "folders", "folder": "mine", "detector": "yunet"})
    assert (found.images, found.genuine, found.detector, found.basis) == (3, 5, "yunet", "counted")


def test_training_sets_are_counted_in_their_index_and_limited_as_the_suite_says(root):
    (root / "rec").mkdir()
    (root / "rec" / "train.idx").write_text("1\t0\n" * 500)
    count = {"form": "recordio", "folder": "rec"}
    assert workload.official("training", count).images == 500
    assert workload.official("training", {**count, "identities": 10, "per_identity": 20}).images == 200


def test_photographs_count_training_faces_and_both_benchmarks(root):
    lfw = suites.load_suite("lfw")
    sizes = {faces.name: faces for faces in face_sets(lfw)}
    assert list(sizes) == ["training", "LFW", "LFW-XQ"] and sizes["LFW"].basis == "assumed"
    assert sizes["training"].images == round(1.5 * workload.GUESS)


def test_small_networks_are_tried_and_large_ones_scaled(monkeypatch):
    monkeypatch.setattr(machine, "SPAN", 0.0)
    found = Machine()
    small, large = recogniser_pass(DEMO["recognisers"]["arcface"]), architecture_pass("iresnet100")
    found._passes[CONVOLUTION] = 50e9
    assert found.pass_seconds(large) == (pytest.approx(large.adds / 50e9), "scaled")
    seconds, basis = found.pass_seconds(small)
    assert basis == "timed" and seconds > 0 and found.pass_seconds(small)[0] == seconds
    assert found.pass_seconds(recogniser_pass({"architecture": "sface"}))[1] == "assumed"


def test_a_probe_takes_the_least_of_its_repetitions(monkeypatch):
    times = iter([5.0, 1.8, 7.0])
    monkeypatch.setattr(machine, "stopwatch", lambda device: lambda: next(times))
    clock = iter([0.0, 0.1, 0.2, 10.0])  # the start, then the elapsed time before each further repetition
    monkeypatch.setattr(machine.time, "perf_counter", lambda: next(clock))
    assert repeated(lambda: None, torch.device("cpu")) == 1.8


@pytest.mark.parametrize("wall, own, told", [(10, 4, 4), (10, 19, 10)])
def test_time_that_other_programs_took_does_not_count(monkeypatch, wall, own, told):
    monkeypatch.setattr(machine.time, "perf_counter", iter([0.0, wall]).__next__)
    monkeypatch.setattr(machine.time, "process_time", iter([0.0, own]).__next__)
    assert machine.stopwatch(torch.device("cpu"))() == told


def test_a_trial_of_detection_and_evaluation_gives_positive_rates(monkeypatch):
    monkeypatch.setattr(machine, "SPAN", 0.0)
    monkeypatch.setattr(machine, "PEOPLE", 20)
    monkeypatch.setattr(machine, "RESAMPLES", 50)
    found = Machine()
    assert found.detect("mtcnn", 250) > 0
    per_pair, per_resample = found.evaluation
    assert 0 < per_pair < 1e-2 and 0 <= per_resample < 1e-3


def test_free_disk_and_memory_are_those_of_the_machine(root, monkeypatch):
    assert free_disk() > 0 and free_memory() > 0
    monkeypatch.setattr(machine, "CGROUP", root)
    (root / "memory.max").write_text("3000000\n")
    (root / "memory.current").write_text("1000000\n")
    assert free_memory() == 2_000_000
    (root / "memory.max").write_text("max\n")
    assert free_memory() > 2_000_000
