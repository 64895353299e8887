"""The whole pipeline for real: a fresh clone, the ci suite, one bare `dvc repro`, then what must not run again."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.helpers.processes import finished
from tests.pipeline.test_new_method import FILE, LINE

ROOT = Path(__file__).resolve().parents[2]
METHODS = {"FaceQnet", "SDD-FIQA", "PFE", "PCNet", "MagFace", "LightQNet", "SER-FIQ", "FaceQAN", "CR-FIQA",
           "FaceQgen (re-interpretation)", "DifFIQA", "DifFIQA(R)", "eDifFIQA(S)", "eDifFIQA(M)", "eDifFIQA(L)", "FROQ",
           "GraFIQs", "PreFIQs", "Sharpness", "Illumination", "Symmetry", "random", "oracle",
           "FaceQnet (flaws)", "eDifFIQA(L) (flaws)"}

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(3600)]


def run(folder, *command, check=True):
    # One thread: networks this small gain nothing from two, which wait for each other on a busy machine.
    environment = {**os.environ, "PYTHONPATH": str(folder), "FIQA_ROOT": str(folder), "OMP_NUM_THREADS": "1",
                   "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    result = finished(command, cwd=folder, env=environment, stderr=subprocess.STDOUT)
    assert not check or result.returncode == 0, f"{' '.join(command)}\n{result.stdout[-6000:]}"
    return result.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone without cache, remote or data, with the ci suite reproduced in it."""
    folder = tmp_path_factory.mktemp("fresh") / "workbook"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    run(folder, sys.executable, "-m", "fiqa_core", "suite", "ci")
    run(folder, "dvc", "repro")
    return folder


def table(clone, name):
    return pd.read_csv(clone / "results" / "ci" / name)


def test_every_table_and_the_report_are_there(clone):
    report = (clone / "report" / "ci" / "index.html").read_text()
    for notebook in sorted((clone / "notebooks").glob("*.ipynb")):
        if notebook.stem not in ("00_start_here", "explorer"):
            assert f'href="{notebook.stem}' in report, f"{notebook.stem} is not linked from the report"
    for stem in (path.stem for path in (clone / "notebooks").glob("[1-9]*.ipynb")):
        assert list((clone / "results" / "ci" / "artefacts" / stem).glob("*.csv")), stem


def test_tables_hold_every_method_benchmark_and_recogniser(clone):
    pauc = table(clone, "evaluation/pauc.csv")
    assert set(pauc.method) == METHODS
    assert pauc.benchmark.nunique() == 8 and pauc.recogniser.nunique() == 8
    assert set(pauc.preset) == {"iso", "paper"}
    iso = pauc[(pauc.preset == "iso") & pauc.pauc.notna()]
    assert (iso.low <= iso.high).all()
    oracle = iso[iso.method == "oracle"].groupby(["benchmark", "recogniser", "discard_limit"]).pauc.first()
    for row in iso[iso.method == "FaceQAN"].itertuples():
        assert row.pauc >= oracle[row.benchmark, row.recogniser, row.discard_limit] - 1e-9


def test_the_papers_methods_beat_chance_and_the_oracle_beats_all(clone):
    """At discard 0.3, over all recognisers and benchmarks; intervals are over people."""
    means = table(clone, "evaluation/means.csv")
    chosen = means[(means.preset == "iso") & (means.discard_limit == 0.3) & (means.recogniser == "all")].set_index("method")
    for method in ("FaceQAN", "DifFIQA", "eDifFIQA(L)", "oracle"):
        assert chosen.high[method] < 1, f"{method}: {chosen.loc[method].to_dict()}"
    assert chosen.pauc["oracle"] == chosen.pauc.min()


def test_a_method_with_shuffled_scores_does_not_beat_chance(clone):
    from fiqa_core.base.faces import load_face_set
    from fiqa_core.evaluation.evaluate import evaluate
    folder, scores = clone / "build" / "ci", pd.read_csv(clone / "results" / "ci" / "scores" / "faceqan.csv")
    sets = {path.name: load_face_set(path) for path in sorted((folder / "benchmarks").iterdir())}
    embeddings = {("CosFace", name): np.load(folder / "embeddings" / "cosface" / f"{name}.npy") for name in sets}
    generator = np.random.default_rng(0)
    shuffled = scores.assign(score=scores.groupby("benchmark").score.transform(
        lambda part: generator.permutation(part.to_numpy())))
    means = evaluate(sets, embeddings, shuffled, {"presets": ["iso"], "resamples": 200})["means"]
    row = means[(means.method == "FaceQAN") & (means.discard_limit == 0.3) & (means.recogniser == "all")].iloc[0]
    assert row.high > 1, row.to_dict()


def test_scores_are_finite_and_one_per_image(clone):
    scores = {path.stem: pd.read_csv(path) for path in (clone / "results" / "ci" / "scores").glob("*.csv")}
    images = scores["sharpness"][["benchmark", "image_id"]]
    for slug, table in scores.items():
        assert np.isfinite(table.score).all() and table[["benchmark", "image_id"]].equals(images), slug
        assert table.score.nunique() > 1, f"{slug} gives all images the same score"
    for slug in ("sharpness", "illumination", "symmetry"):  # nothing learnt: other pictures, other scores
        assert scores[slug].score.nunique() > len(images) / 2, f"{slug} hardly tells images apart"


def test_the_start_notebook_runs(clone):
    run(clone, sys.executable, "-m", "fiqa_core", "run", "00_start_here")


def test_second_repro_does_nothing_and_status_is_clean(clone):
    output = run(clone, "dvc", "repro")
    assert "Running stage" not in output
    assert "up to date" in run(clone, "dvc", "status")


def test_git_sees_only_what_the_user_changed(clone):
    changed = run(clone, "git", "status", "--porcelain").split()[1::2]
    assert set(changed) <= {"params.yaml", "dvc.lock"}, changed


def test_the_way_back_to_the_demo_leaves_no_trace_and_the_way_to_ci_runs_nothing(clone):
    run(clone, sys.executable, "-m", "fiqa_core", "suite", "demo")
    assert run(clone, "git", "status", "--porcelain") == ""
    assert (clone / "dvc.lock").read_text() == run(clone, "git", "show", "HEAD:dvc.lock")
    run(clone, sys.executable, "-m", "fiqa_core", "suite", "ci")
    assert "Running stage" not in run(clone, "dvc", "repro")


def test_metrics_and_plots_work(clone):
    assert "FaceQAN" in run(clone, "dvc", "metrics", "show")
    assert "index.html" in run(clone, "dvc", "plots", "show")


def test_an_opened_notebook_and_new_prose_run_nothing_but_the_digest(clone):
    path = clone / "notebooks" / "05_score.ipynb"
    content = json.loads(path.read_text())
    content["cells"][0]["source"].append("\nMore prose.")
    content["cells"][2]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "left by JupyterLab"}]
    path.write_text(json.dumps(content))
    output = run(clone, "dvc", "repro")
    assert output.count("Running stage") == 1 and "'code'" in output


def test_forced_stages_give_identical_csv_files(clone):
    """Everything that draws random numbers runs again; only run times may differ."""
    def tables():
        found = (path for path in (clone / "results" / "ci").rglob("*.csv")
                 if path.relative_to(clone).parts[2] not in ("runtime", "artefacts"))
        return {str(path.relative_to(clone)): path.read_bytes() for path in found}

    before = tables()
    run(clone, "dvc", "repro", "--force", "--single-item", "prepare", "recogniser@cosface", "embed", "diffusion",
        "score_on_recogniser@faceqan", "score_on_diffusion@diffiqa", "label", "distil@diffiqa_r", "distil@ediffiqa_l",
        "score_distilled@diffiqa_r", "score_distilled@ediffiqa_l", "score_on_recogniser@ser_fiq",
        *(f"{stage}@{slug}" for slug in ("faceqnet", "sdd_fiqa", "lightqnet", "cr_fiqa", "faceqgen", "froq")
          for stage in ("train", "score_trained")), "evaluate", "ablate")
    assert len(before) > 20 and tables() == before


def test_one_parameter_runs_only_what_depends_on_it(clone):
    text = (clone / "params.yaml").read_text()
    run(clone, sys.executable, "-m", "fiqa_core", "suite", "ci", "--set", "ablation.images=45")
    names = run(clone, "dvc", "status", "--json")
    (clone / "params.yaml").write_text(text)
    assert "ablate" in names and "score_on_recogniser@faceqan" not in names


def test_lost_results_come_back_from_the_cache(clone):
    shutil.rmtree(clone / "results" / "ci" / "evaluation")
    output = run(clone, "dvc", "repro")
    assert "Running stage 'evaluate'" not in output
    assert (clone / "results" / "ci" / "evaluation" / "means.csv").is_file()


def out_of_date(clone) -> set[str]:
    """Names of the stages that `dvc status` finds changed, once the digests are written."""
    run(clone, "dvc", "repro", "code")
    return set(json.loads(run(clone, "dvc", "status", "--json")))


def test_another_file_of_a_method_runs_that_method_again(clone):
    path = clone / "fiqa_core" / "methods" / "froq.py"
    text = path.read_text()
    path.write_text(text.replace("METHODS = [", "MORE = 1\nMETHODS = ["))
    found = out_of_date(clone)
    path.write_text(text)
    assert {"train@froq", "score_trained@froq"} <= found
    # the notebooks that run whichever methods the suite names come behind every method
    assert all(name == "time" or name.startswith(("challenge@", "artefact@50"))
               for name in found - {"train@froq", "score_trained@froq"}), found
    assert not out_of_date(clone)


def test_one_file_and_one_line_put_a_method_into_the_means(clone):
    (clone / "fiqa_core" / "methods" / "contrast.py").write_text(FILE)
    params = clone / "params.yaml"
    params.write_text(params.read_text().replace("on_pixels:\n", f"on_pixels:\n{LINE}"))
    output = run(clone, "dvc", "repro", "evaluate")
    stages = {line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")}
    assert stages == {"code", "score_on_pixels@contrast", "evaluate"}
    assert set(table(clone, "evaluation/means.csv").method) == METHODS | {"Contrast"}
