"""Time and peak memory of IJB-C's true size: python -m tests.tools.simulate_ijbc [--folder /tmp] [--methods 15]

469,375 faces in 23,124 templates of 3,531 identities, 15,658,489 comparisons, 7 recognisers, random
embeddings of 512 values around a centre per identity, one random quality score per face and method that knows
part of the truth. Everything goes through the functions the stages call; pictures are a file of zeros that
takes no room on disk. Needs 10 GB in FOLDER; the figures are of this machine. Peaks count mapped files.
"""
import argparse
import shutil
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.lib.format import open_memmap

from fiqa_core.base.engine import run_shards
from fiqa_core.base.faces import FaceSet, load_face_set
from fiqa_core.evaluation.comparisons import benchmark_pairs
from fiqa_core.evaluation.curves import Measure
from fiqa_core.evaluation.evaluate import (Cell, edc_table, pauc_table, score_table, settings_of,
                                           similarities, verify)
from fiqa_core.evaluation.ranks import method_ranks

FACES, TEMPLATES, IDENTITIES = 469_375, 23_124, 3_531
GENUINE, PAIRS = 19_557, 15_658_489
RECOGNISERS = ("AdaFace", "ArcFace", "CosFace", "CurricularFace", "ElasticFace", "SwinFace", "TransFace")
SIZE, SHARD = 512, 2048


def memory(field: str) -> float:
    """A field of /proc/self/status in GB, NaN where there is no such file (Linux only)."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return np.nan
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 2**20


@contextmanager
def step(label: str):
    """Print seconds, the peak of resident memory within the step, and what the process holds after it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    except OSError:
        pass
    begin, used = time.perf_counter(), time.process_time()
    yield
    print(f"{label:<62} {time.perf_counter() - begin:7.1f} s  {time.process_time() - used:7.1f} s CPU  "
          f"peak {memory('VmHWM'):5.2f} GB  held {memory('RssAnon'):5.2f} GB", flush=True)


def tables(generator: np.random.Generator, folder: Path) -> FaceSet:
    """The face set: ragged templates, media of several frames, pairs as categoricals."""
    owner = np.append(np.arange(IDENTITIES), generator.integers(IDENTITIES, size=TEMPLATES - IDENTITIES))
    many = (TEMPLATES * generator.random(FACES - TEMPLATES) ** 2).astype(int)  # a few templates are large
    template = np.append(np.arange(TEMPLATES), many)
    number = np.arange(FACES).astype(str)
    images = pd.DataFrame({"image_id": np.char.add("loose_crop/", number),
                           "identity": owner[template].astype(str), "template_id": template.astype(str),
                           "crossfit": 0,
                           "media_id": generator.integers(4 * TEMPLATES, size=FACES).astype(str)})
    a = generator.integers(TEMPLATES, size=PAIRS)
    b = generator.integers(TEMPLATES, size=PAIRS)
    by_owner = np.argsort(owner, kind="stable")  # a genuine pair: neighbours in this order
    same = np.flatnonzero(owner[by_owner][1:] == owner[by_owner][:-1])
    chosen = generator.choice(same, GENUINE)
    a[:GENUINE], b[:GENUINE] = by_owner[chosen], by_owner[chosen + 1]
    clash = np.flatnonzero(owner[a[GENUINE:]] == owner[b[GENUINE:]]) + GENUINE
    b[clash] = (b[clash] + 1 + np.arange(len(clash)) % 7) % TEMPLATES      # a handful stay mislabelled
    names = pd.CategoricalDtype(pd.Index(np.arange(TEMPLATES).astype(str), dtype=object))
    pairs = pd.DataFrame({"a": pd.Categorical.from_codes(a, dtype=names),
                          "b": pd.Categorical.from_codes(b, dtype=names),
                          "genuine": (np.arange(PAIRS) < GENUINE).astype(np.uint8), "fold": np.int16(-1)})
    pixels = open_memmap(folder / "IJB-C" / "pixels.npy", "w+", np.uint8, (FACES, 112, 112, 3))
    return FaceSet("IJB-C", pixels, images, pairs)


def write_embeddings(faces: FaceSet, truth: np.ndarray, seed: int, path: Path) -> None:
    """Centres per identity, noise that falls with the true quality; through shards, as the stage writes."""
    identity = pd.factorize(faces.images["identity"])[0]
    centres = np.random.default_rng(0).standard_normal((IDENTITIES, SIZE), dtype=np.float32)

    def work(rows: np.ndarray) -> np.ndarray:
        noise = np.random.default_rng([seed, rows[0]]).standard_normal((len(rows), SIZE), dtype=np.float32)
        return centres[identity[rows]] + (12 - 9 * truth[rows, None]).astype(np.float32) * noise

    vectors = open_memmap(path, "w+", np.float32, (FACES, SIZE))
    for rows, values in run_shards(work, np.arange(FACES), SHARD, path.stem, path.with_suffix(".parts")):
        vectors[rows] = values
    vectors.flush()
    shutil.rmtree(path.with_suffix(".parts"))


def write_scores(faces: FaceSet, truth: np.ndarray, count: int, folder: Path) -> None:
    """One CSV per method, as stage `score` writes it."""
    for number in range(count):
        score = 0.5 * truth + np.random.default_rng([1, number]).random(FACES)
        table = pd.DataFrame({"benchmark": faces.name, "image_id": faces.images["image_id"],
                              "method": f"method {number:02d}", "score": score})
        table.to_csv(folder / f"{number:02d}.csv", index=False, float_format="%.6f")


def measured(measure: Measure, scores: pd.DataFrame, chosen) -> list[Cell]:
    """Every method and reference under all presets, step by step."""
    found, scored = {}, np.ones(len(measure.pairs.a), dtype=bool)
    with step("first method (prepares the recognisers' thresholds)"):
        measure.method(scores.iloc[:, 0].to_numpy())
    with step(f"{len(scores.columns)} methods x {len(measure.compared)} recognisers, intervals"):
        found |= {name: measure.method(scores[name].to_numpy()) for name in scores}
    with step("oracle"):
        found["oracle"] = measure.oracle(scored)
    with step(f"random, {chosen.draws} draws"):
        found["random"] = measure.random(scored)
    return [Cell("IJB-C", name, preset, own[preset]) for preset in chosen.presets for name, own in found.items()]


def prepared(folder: Path, methods: int) -> FaceSet:
    """The face set as stage `prepare` leaves it, and on disk its embeddings and scores."""
    generator, truth = np.random.default_rng(0), np.random.default_rng(9).random(FACES)
    (folder / "IJB-C").mkdir()
    with step("make the tables"):
        faces = tables(generator, folder)
    with step("save the face set"):
        faces.save(folder / "IJB-C")
        del faces
    with step("load the face set"):
        faces = load_face_set(folder / "IJB-C")
    with step(f"write embeddings of {len(RECOGNISERS)} recognisers through shards"):
        for number, name in enumerate(RECOGNISERS):
            write_embeddings(faces, truth, number, folder / f"{name}.npy")
    with step(f"write the scores of {methods} methods"):
        (folder / "scores").mkdir()
        write_scores(faces, truth, methods, folder / "scores")
    return faces


def simulate(folder: Path, methods: int, resamples: int, draws: int) -> None:
    chosen = settings_of({"resamples": resamples, "draws": draws})
    faces = prepared(folder, methods)
    with step("read the scores"):
        rows = pd.concat([pd.read_csv(path, dtype={"image_id": str})
                          for path in sorted(folder.glob("scores/*.csv"))], ignore_index=True)
    with step("scores as a table"):
        scores = score_table("IJB-C", faces, rows)
    with step("pairs as integers"):
        pairs = benchmark_pairs(faces)
    with step("pool templates and compare pairs"):
        vectors = {(name, "IJB-C"): partial(np.load, folder / f"{name}.npy", mmap_mode="r")
                   for name in RECOGNISERS}
        similarity = similarities(pairs, "IJB-C", vectors)
    with step("verification"):
        found = verify(pairs, "IJB-C", similarity)
    with step("ranks of the templates and pairs of one method"):
        pairs.ranks(scores.iloc[:, 0].to_numpy())
    with step("resampled weights of the identities"):
        measure = Measure(pairs, similarity, chosen, [0, 0])
    cells = measured(measure, scores, chosen)
    with step("tables of areas and curves"):
        areas, curves = pauc_table(cells, chosen), edc_table(cells)
    with step("rank correlation of the methods"):
        method_ranks(scores)
    print(found.round(4).to_string(index=False))
    shown = areas[(areas["recogniser"] == "ArcFace") & (areas["discard_limit"] == 0.3)]
    print(shown.round(4).to_string(index=False))
    print(f"{len(areas)} areas, {len(curves)} points of curves")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", help="where to make the temporary folder (10 GB)")
    for name, value in (("methods", 15), ("resamples", 1000), ("draws", 100)):
        parser.add_argument(f"--{name}", type=int, default=value)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        simulate(Path(folder), args.methods, args.resamples, args.draws)


if __name__ == "__main__":
    main()
