"""One file and one line make a method: in a copy of the project, from the command line to the means."""
import os
import shutil
import subprocess
import sys

import pandas as pd
import pytest
import yaml

from fiqa_core.base.project import settings
from tests.helpers.processes import finished
from tests.helpers.small_project import ROOT, small_project

FILE = '''"""Contrast: the deviation of a face's values, to a power."""
from fiqa_core.base.method import Method
from fiqa_core.kernels.chunks import check_images


def contrast(power: float = 1.0):
    return lambda images: check_images(images).flatten(1).std(dim=1) ** power


METHODS = [Method("contrast", "Contrast", contrast)]
'''
LINE = "  contrast: {power: 2}\n"
# Slugs that params.yaml keeps: the copy holds one recogniser.
FEW = {"on_recogniser": ("faceqan",), "on_pixels": ("sharpness",), "on_diffusion": (), "distilled": (), "trained": ()}
SCRIPT = """
from fiqa_core.base.project import settings
from fiqa_core.doctor.estimates import Costs, estimates
from fiqa_core.doctor.workload import face_sets
from fiqa_core.pipeline.embed import embed_benchmarks
from fiqa_core.pipeline.evaluate import evaluate_benchmarks
from fiqa_core.pipeline.score import score_benchmarks
from fiqa_core.pipeline.suites import unknown_keys
from tests.helpers.steady_machine import Steady
suite = settings()
print(unknown_keys(suite), [line.stage for line in estimates(Costs(suite, face_sets(suite), Steady()), {})])
for slug in ("sharpness", "contrast"):
    score_benchmarks(slug)
embed_benchmarks()
evaluate_benchmarks()
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the code with a prepared benchmark and a recogniser, into which the file and the line are written."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("fiqa_core", "notebooks", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "golden"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIQA_ROOT", str(folder))
        small_project(folder, 24, scoring__recogniser="cosface", evaluation__fmr=0.25,
                      evaluation__resamples=20, evaluation__presets="[iso]")
        suite = settings()
    suite["recognisers"] = {"cosface": suite["recognisers"]["cosface"]}
    for section, slugs in FEW.items():
        suite[section] = {slug: suite[section][slug] for slug in slugs}
    text = yaml.safe_dump(suite, sort_keys=False)
    (folder / "params.yaml").write_text(text.replace("on_pixels:\n", f"on_pixels:\n{LINE}"))
    (folder / "fiqa_core" / "methods" / "contrast.py").write_text(FILE)
    return folder


def run(folder, *command):
    """What a command prints in the copy, which its own package runs."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "FIQA_ROOT": str(folder), "OMP_NUM_THREADS": "1",
                   "FIQA_DEVICE": "cpu", "PATH": f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}"}
    result = finished(command, cwd=folder, env=environment, stderr=subprocess.STDOUT)
    assert result.returncode == 0, result.stdout[-3000:]
    return result.stdout


def test_ten_lines_and_one_are_enough(copy):
    assert len(FILE.splitlines()) == 10 and len(LINE.splitlines()) == 1
    assert "contrast" in run(copy, sys.executable, "-m", "fiqa_core", "score", "--help")
    run(copy, "dvc", "init", "--no-scm", "--quiet")
    assert "score_on_pixels@contrast" in run(copy, "dvc", "stage", "list", "--name-only").split()
    said = run(copy, sys.executable, "-c", SCRIPT)
    assert said.startswith("[] [") and "'score contrast'" in said
    results = copy / "results" / "demo"
    scores = pd.read_csv(results / "scores" / "contrast.csv")
    assert len(scores) == 24 and set(scores["method"]) == {"Contrast"} and scores["score"].nunique() == 24
    for table, column in (("means", "method"), ("pauc", "method"), ("edc", "method"), ("differences", "method_a")):
        found = set(pd.read_csv(results / "evaluation" / f"{table}.csv")[column])
        assert "Contrast" in found, (table, found)


def test_every_notebook_that_is_a_stage_has_its_digest(copy, before):
    suite = yaml.safe_load((copy / "params.yaml").read_text())
    assert {*suite["artefacts"], *suite["challenge_notebooks"], "06_label", "08_evaluate", "report"} <= before.keys()


@pytest.fixture(scope="module")
def before(copy):
    return digests(copy)


def digests(folder) -> dict[str, str]:
    """What `digest` writes, by name."""
    run(folder, sys.executable, "-m", "fiqa_core", "digest")
    return {path.stem: path.read_text() for path in (folder / "build" / "code").glob("*.txt")}


@pytest.mark.parametrize("file, slugs", [("methods/froq.py", ["froq", "froq_flaws"]),
                                         ("kernels/faceqan.py", ["faceqan"])])
def test_another_file_of_a_method_changes_the_digests_of_that_method_alone(copy, before, file, slugs):
    """And of the notebooks that run whichever methods a suite names, or name this one: run times, ablations."""
    path = copy / "fiqa_core" / file
    text = path.read_text()
    path.write_text(text.replace("METHODS = [", "MORE = 1\nMETHODS = ["))
    after = digests(copy)
    path.write_text(text)
    changed = {name for name in before if before[name] != after[name]}
    own = {f"{notebook}@{slug}" for notebook in ("05_score", "07_train", "07_distil") for slug in slugs}
    followers = {"00_start_here", "explorer", "09_time", "41_detector_variability", "42_video", "43_vector_quality",
                 "44_specialised_quality", "50_synthetic_quality", *(["09_ablate"] if "faceqan" in slugs else [])}
    assert before.keys() == after.keys() and changed == own | followers
