"""The suites of the workbook: they load, nothing in them is misspelt, and they say what they are."""
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.benchmarks.loaders import FORMS
from fiqa_core.pipeline import suites
from fiqa_core.pipeline.suites import unknown_keys
from fiqa_core.weights.catalogue import models

PAPER = suites.load_suite("paper")
OPEN = ("open", "faces")


def test_the_suites_are_those_the_readme_names():
    assert suites.suite_names() == ["ci", "demo", "faces", "lfw", "open", "paper", "photos", "pretrain", "scratch"]


@pytest.mark.parametrize("name", suites.suite_names())
def test_every_key_of_a_suite_is_one_that_some_function_takes(name):
    suite = suites.load_suite(name)
    assert unknown_keys(suite) == []
    assert suite["suite"] == name and suite["about"]


@pytest.mark.parametrize(
    "override, named",
    [
        ("on_recogniser.faceqan.repeat=3", "on_recogniser.faceqan.repeat"),
        ("recognisers.arcface.epoch=3", "recognisers.arcface.epoch"),
        ("faces.protocol=[lfw]", "faces.protocol"),
        ("faces.source=Official", "faces.source"),
        ("evaluation.fnmr=0.1", "evaluation.fnmr"),
        ("faces={source: official, benchmarks: {A: {form: lfw, pair: x}, B: {form: lfv}}}", "faces.A.pair"),
        ("faces={source: official, benchmarks: {A: {form: lfw, pair: x}, B: {form: lfv}}}", "faces.B.form"),
        ("labels.image=3", "labels.image"),
        ("distilled.ediffiqa_s.epochz=3", "distilled.ediffiqa_s.epochz"),
    ],
)
def test_a_misspelt_key_is_named(override, named):
    assert named in unknown_keys(suites.chosen_suite("demo", [override]))


def test_a_misspelt_section_and_an_unknown_method_are_named():
    suite = {**suites.load_suite("paper"), "recogniser": {}}
    suite["on_recogniser"] = {"serfiq": {"repeats": 10}, "ser_fiq": {"repeats": 10, "T": 100}, "diffiqa": {}}
    suite["on_pixels"] = {"sharpnes": {}, "symmetry": {}}
    assert set(unknown_keys(suite)) == {"on_recogniser.serfiq", "on_recogniser.ser_fiq.T", "on_recogniser.diffiqa",
                                        "recogniser", "on_pixels.sharpnes"}


def test_null_leaves_a_whole_entry_out_and_stays_a_value_elsewhere():
    suite = suites.chosen_suite("paper", ["faces.benchmarks.YTF=null", "faces.benchmarks.LFW.detector=null"])
    assert (
        "YTF" not in suite["faces"]["benchmarks"] and suite["faces"]["benchmarks"]["LFW"]["detector"] is None
    )


def test_a_replaced_section_keeps_nothing_of_the_base():
    assert set(PAPER["faces"]) == {"source", "training", "benchmarks"}
    assert "elasticface" not in PAPER["recognisers"] and "replaces" not in PAPER
    assert PAPER["evaluation"] == suites.load_suite("demo")["evaluation"]


def test_the_paper_suite_has_the_papers_benchmarks_recognisers_and_settings():
    assert list(PAPER["faces"]["benchmarks"]) == ["LFW", "CALFW", "CPLFW", "CFP-FP", "XQLFW", "Adience",
                                                  "IJB-C", "YTF"]
    compared = [row["name"] for row in PAPER["recognisers"].values() if row.get("compare", True)]
    assert compared == ["AdaFace", "ArcFace", "CosFace", "CurricularFace", "SwinFace", "TransFace"]
    assert PAPER["on_recogniser"]["faceqan"] == {"recogniser": "cosface", "epsilon": 0.001, "iterations": 5, "repeats": 10, "exponent": 5}
    assert PAPER["on_diffusion"]["diffiqa"] == {"timestep": 5, "repeats": 10, "eta": 1.0}


@pytest.mark.parametrize("name", ["paper", *OPEN])
def test_every_checkpoint_is_an_official_file_of_its_architecture(name):
    files = {model.file: model for model in models().values()}
    suite = suites.load_suite(name)
    for section in ("recognisers", "trained", "distilled"):
        for slug, entry in suite[section].items():
            if "checkpoint" in entry:
                named = entry.get("architecture") or entry.get("model", slug)
                assert files[entry["checkpoint"]].architecture in (named, slug)


@pytest.mark.parametrize("name", OPEN)
def test_what_is_open_is_fetched_automatically(name):
    files = {model.file: model for model in models().values()}
    suite = suites.load_suite(name)
    named = [entry["checkpoint"] for section in ("recognisers", "trained", "distilled")
             for entry in suite[section].values()]
    assert all(files[file].url and len(files[file].sha256) == 64 for file in named)
    assert not suite["faces"]["training"] and not suite["on_diffusion"]


@pytest.mark.parametrize("name", ["paper", *OPEN])
def test_every_form_is_known_and_every_method_scores_with_a_recogniser_of_the_suite(name):
    suite = suites.load_suite(name)
    assert {entry["form"] for entry in suite["faces"]["benchmarks"].values()} <= set(FORMS)
    used = {entry["recogniser"] for entry in suite["on_recogniser"].values()}
    assert used | {suite["scoring"]["recogniser"]} <= set(suite["recognisers"])


@pytest.mark.parametrize("override, value", [
    ("evaluation.fmr=1e-2", 0.01), ("evaluation.resamples=1e3", 1000), ("on_recogniser.faceqan.epsilon=1e-3", 0.001),
    ("trained.pcnet.epochs=2.0", 2), ("faces.scale=2", 2), ("embed.flip=false", False)])
def test_values_are_of_the_type_that_their_function_takes(override, value):
    found = suites.chosen_suite("demo", [override])
    for key in override.partition("=")[0].split("."):
        found = found[key]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("override, remedy", [
    ("evaluation.resamples=2.5", "a whole number"), ("on_recogniser.faceqan.repeats=2.5", "a whole number"),
    ("on_recogniser.faceqan.epsilon=small", "a number"), ("on_diffusion.diffiqa.timestep=x", "a whole number"),
    ("trained.pcnet.epochs=3.5", "a whole number"), ("distilled.ediffiqa_s.head_lr=.nan", "a number"),
    ("recognisers.arcface.epochs=[1]", "a whole number"), ("diffusion.steps=1.5", "a whole number"),
    ("labels.repeats=2.5", "a whole number"), ("timing.images=many", "a whole number"), ("faces.scale=x", "a number"),
    ("embed.flip=1", "true or false"), ("scoring.recogniser=1", "text"), ("faces.protocols=lfw", "a list"),
    ("on_pixels=symmetry", "keys and values"), ("on_recogniser.faceqan=5", "keys and values")])
def test_a_value_of_another_type_is_named_at_once(override, remedy):
    key = override.partition("=")[0]
    suite = "scratch" if key.startswith(("recognisers", "diffusion")) else "demo"       # the demo's do not learn
    with pytest.raises(FiqaError, match=f"^{key.replace('.', '[.:] ?')} is .*\n  remedy: give {remedy}"):
        suites.chosen_suite(suite, [override])


def test_a_method_whose_file_is_not_here_is_left_out_where_the_suite_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))
    monkeypatch.delenv("FIQA_WEIGHTS", raising=False)
    assert suites.chosen_suite("photos")["trained"] == suites.chosen_suite("photos")["distilled"] == {}
    notes = suites.write_params("photos")
    assert "left out, since their checkpoints are not here: trained.faceqnet, trained.sdd_fiqa" in notes[0]
    path = tmp_path / "build" / "demo" / "quality" / "pfe" / "0.pt"
    path.parent.mkdir(parents=True)
    path.touch()
    assert list(suites.chosen_suite("photos")["trained"]) == ["pfe"]
    assert "trained.pfe" not in suites.write_params("photos")[0]
