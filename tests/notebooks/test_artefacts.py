"""Every artefact notebook runs on a made-up results tree, with six methods and with all of them.

The numbers below are invented to exercise the notebooks; they are results of nothing.
"""
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from fiqa_core.base.faces import FaceSet, empty_pairs
from fiqa_core.registry import methods
from fiqa_core.reporting.names import METHODS
from tests.helpers.processes import finished

ROOT = Path(__file__).resolve().parents[2]
# These look at faces or score them: tests of their own.
COMPUTING = ("13", "41", "42", "43", "44", "50")
NOTEBOOKS = sorted(path for path in (ROOT / "notebooks").glob("*.ipynb")
                   if "10" <= path.stem[:2] <= "99" and path.stem[:2] not in COMPUTING)
FEW = ["FaceQAN", "DifFIQA", "DifFIQA(R)", "eDifFIQA(S)", "eDifFIQA(M)", "eDifFIQA(L)"]
EVERY = [name for name in METHODS.values() if name != "eDifFIQA(T)"]
SUITES = {
    "demo": {
        "source": "rendered",
        "benchmarks": ["LFW", "CPLFW", "XQLFW"],
        "recognisers": ["ArcFace", "CosFace", "TransFace"],
        "causes": ["severity", "defocus", "yaw", "occlusion"],
        "methods": FEW,
    },
    "lfw": {
        "source": "photographs",
        "benchmarks": ["LFW", "LFW-XQ"],
        "recognisers": ["MobileFaceNet (foamliu)", "MobileFaceNet (other)"],
        "causes": [],
        "methods": FEW,
    },
    "paper": {
        "source": "official",
        "benchmarks": ["LFW", "CPLFW", "XQLFW", "IJB-C"],
        "recognisers": ["AdaFace", "ArcFace", "TransFace"],
        "causes": [],
        "methods": EVERY,
    },
}
LEFT_OVER = "Left over"     # a method of another suite, in every table and in results/scores
IMAGES = 24
RNG = np.random.default_rng(0)


def frame(*axes, **columns) -> pd.DataFrame:
    """The product of named axes with columns of made-up values in [low, high]."""
    table = pd.MultiIndex.from_product([values for _, values in axes],
                                       names=[name for name, _ in axes]).to_frame(index=False)
    for name, value in columns.items():
        table[name] = RNG.uniform(*value, len(table)) if isinstance(value, tuple) else value
    return table


def band(table: pd.DataFrame, value: str) -> pd.DataFrame:
    return table.assign(low=table[value] * 0.9, high=table[value] * 1.1)


def write(table: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False)


def sections(names: list[str]) -> dict:
    """The methods of these names as they stand in params.yaml."""
    found = {}
    for method in methods().values():
        if method.name in names:
            found.setdefault(method.section, {})[method.slug] = {}
    return found


@pytest.fixture(scope="module", params=SUITES)
def project_folder(request, tmp_path_factory):
    """A project with every result the notebooks read; returns (folder, suite)."""
    suite = SUITES[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "notebooks").mkdir()
    (folder / "dvc.yaml").write_text("stages: {}\n")
    params = {"suite": request.param, "about": "Made up for a test.", "faces": {"source": suite["source"]},
              "scoring": {"recogniser": "first"}, "recognisers": {"first": {"name": suite["recognisers"][0]}}}
    (folder / "params.yaml").write_text(yaml.safe_dump(params | sections(suite["methods"])))
    shutil.copytree(ROOT / "fiqa_core" / "inputs" / "published", folder / "data" / "published")
    suite = suite | {"methods": [*suite["methods"], LEFT_OVER]}
    results = folder / "results" / request.param
    write_evaluation(results / "evaluation", suite)
    write_runtime(results, suite["methods"])
    write_faces(folder / "build" / request.param, results, suite)
    return folder, request.param


def write_evaluation(folder: Path, suite: dict) -> None:
    benchmark, recogniser = ("benchmark", suite["benchmarks"]), ("recogniser", suite["recognisers"])
    own = suite["methods"]
    method, preset, limit = (("method", [*own, "oracle", "random"]), ("preset", ["iso", "paper"]),
                             ("discard_limit", [0.2, 0.3]))
    pauc = frame(benchmark, recogniser, method, preset, limit, pauc=(0.4, 1.1), fnmr0=(0.03, 0.4), fmr=0.001)
    write(band(pauc.assign(errors=30, genuine=300), "pauc"), folder / "pauc.csv")
    replicates = pauc["pauc"].to_numpy()[:, None] + RNG.normal(0, 0.05, (len(pauc), 20))
    np.save(folder / "replicates.npy", replicates.astype(np.float32))
    edc = frame(benchmark, recogniser, method, preset, ("discard", np.linspace(0, 0.95, 20)),
                fnmr=(0.01, 0.3))
    write(band(edc, "fnmr"), folder / "edc.csv")
    means = frame(("recogniser", ["all", *suite["recognisers"]]), method, preset, limit, pauc=(0.5, 0.9),
                  benchmarks=3)
    write(band(means, "pauc"), folder / "means.csv")
    pairs = frame(("method_a", own), ("method_b", own), preset, limit, difference=(-0.1, 0.1))
    pairs = pairs[pairs["method_a"] < pairs["method_b"]]
    write(pairs.assign(low=pairs["difference"] - 0.05, high=pairs["difference"] + 0.05),
          folder / "differences.csv")
    numbers = {"accuracy": (0.8, 1), "accuracy_sd": (0, 0.01), "eer": (0, 0.1), "fnmr_fmr1e2": (0, 0.2),
               "fnmr_fmr1e3": (0, 0.3), "threshold": (0.2, 0.4), "dprime": (2, 5), "genuine": 3000,
               "impostor": 3000}
    write(frame(benchmark, recogniser, **numbers), folder / "verification.csv")
    write(frame(benchmark, ("recogniser", FEW[3:]), **numbers), folder / "double_role.csv")
    causes = frame(benchmark, ("method", own), ("cause", suite["causes"]), spearman=(-1, 0.2), images=IMAGES)
    write(causes, folder / "causes.csv")
    for name, changes in (("faceqan", ["without symmetry", "k=2"]), ("diffiqa", ["t=2", "without forward"])):
        table = frame(("ablation", [*changes, "full", "oracle"]), ("benchmark", suite["benchmarks"][-1:]),
                      recogniser, preset, limit, pauc=(0.4, 1), fnmr0=0.1)
        write(band(table, "pauc"), folder.parent / "ablations" / f"{name}.csv")


def write_runtime(results: Path, own: list[str]) -> None:
    machine = {"images": 5, "median_ms": (1, 90), "mean_ms": (1, 90), "sd_ms": (0, 1), "device": "cpu",
               "processor": "made up", "torch": "0"}
    write(frame(("repeats", [2, 5]), method="FaceQAN", **machine), results / "runtime" / "faceqan.csv")
    write(frame(("method", own), parameters=(0.1, 3), batch_ms=(1, 2), **machine),
          results / "runtime" / "methods.csv")


def write_faces(build: Path, results: Path, suite: dict) -> None:
    parts = []
    for name in suite["benchmarks"]:
        ids = [f"{name}_{i}" for i in range(IMAGES)]
        images = pd.DataFrame({"image_id": ids, "identity": ids, "template_id": ids, "media_id": ids,
                               "crossfit": 0}
                              | {cause: RNG.uniform(-1, 1, IMAGES) for cause in suite["causes"]})
        pixels = RNG.integers(0, 255, (IMAGES, 112, 112, 3), dtype=np.uint8)
        faces = FaceSet(name, pixels, images, empty_pairs())
        faces.save(build / "benchmarks" / name)
        parts.append(frame(("benchmark", [name]), ("image_id", ids), ("method", suite["methods"]),
                           score=(0, 1)))
    scores = pd.concat(parts)
    scores.iloc[0, -1] = -np.inf  # one face whose features could not be extracted
    for slug, name in (METHODS | {"left_over": LEFT_OVER}).items():
        if name in suite["methods"]:
            write(scores[scores["method"] == name], results / "scores" / f"{slug}.csv")


def code_cells(notebook: Path) -> list[dict]:
    return [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]


def execute(notebook: Path) -> dict:
    namespace: dict = {"__name__": notebook.stem}
    for i, cell in enumerate(code_cells(notebook)):
        exec(compile("".join(cell["source"]), f"{notebook.name} cell {i}", "exec"), namespace)
    return namespace


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_and_writes_the_same_bytes_twice(notebook, project_folder, monkeypatch, capsys):
    folder, suite = project_folder
    monkeypatch.delenv("FIQA_ROOT", raising=False)
    monkeypatch.chdir(folder / "notebooks")
    execute(notebook)
    shown = capsys.readouterr().out
    assert f"suite `{suite}`" in shown
    assert ("never a value" in shown) == (suite == "demo")
    made = folder / "results" / suite / "artefacts" / notebook.stem
    files = {path.name: path.read_bytes() for path in made.iterdir()}
    assert any(name.endswith(".csv") for name in files)
    pictures = [name for name in files if name.endswith(".png")]
    assert pictures and all(len(files[name.replace(".png", ".txt")]) > 20 for name in pictures)
    assert all(name.startswith(notebook.stem) for name in pictures)
    told = [content for name, content in files.items() if name.endswith((".csv", ".txt"))]
    assert LEFT_OVER not in shown and not any(LEFT_OVER.encode() in content for content in told)
    if notebook.stem[:2] in ("20", "31") and suite == "demo":  # test_figures does the same with curves
        execute(notebook)
        assert files == {path.name: path.read_bytes() for path in made.iterdir()}
    assert not list((folder / "notebooks").iterdir()), "a notebook left files in its own folder"


def test_artefact_notebooks_do_not_load_torch():
    modules = sorted(path.stem for path in (ROOT / "fiqa_core" / "reporting").glob("*.py"))
    lines = "; ".join(f"import fiqa_core.reporting.{name}" for name in modules)
    check = f"import sys; {lines}; print('torch' in sys.modules)"
    result = finished([sys.executable, "-c", check], cwd=ROOT)
    assert result.stdout.strip() == "False", result.stderr
