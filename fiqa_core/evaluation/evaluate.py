"""All evaluation of the workbook at once: every method and reference, benchmark, recogniser and preset.

Rows keep the order in which benchmarks, recognisers and methods are given, references last, so equal
input gives equal tables.
"""
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import combinations
from zlib import crc32

import numpy as np
import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.base.options import kinds_of, typed
from fiqa_core.evaluation.bootstrap import mean_replicates, percentile_interval
from fiqa_core.evaluation.comparisons import BenchmarkPairs, benchmark_pairs
from fiqa_core.evaluation.curves import GRIDS, Measure, Measurement, Settings
from fiqa_core.evaluation.discard import UNSCORED
from fiqa_core.evaluation.edc import REFERENCES
from fiqa_core.evaluation.ranks import cause_correlations, method_ranks
from fiqa_core.evaluation.verification import verification_or_gap

ORACLE, RANDOM = "oracle", "random"
SCORE_COLUMNS = ("benchmark", "image_id", "method", "score")
PLACE = ["benchmark", "recogniser", "method", "preset"]
PAUC = [*PLACE, "fmr", "discard_limit", "pauc", "low", "high", "pauc_raw", "fnmr0", "threshold", "genuine",
        "impostor", "errors", "pairs_unscored", "note"]
PARALLEL = 2             # benchmarks measured side by side; each needs a few hundred MB at 1000 resamples
KEPT = 200               # replicates: enough for a rank's 95 % interval, 5 MB for 23 methods x 8 x 8
FILE = "replicates.npy"


@dataclass(frozen=True)
class Cell:
    """One method on one benchmark under one preset."""

    benchmark: str
    method: str
    preset: str
    result: Measurement


def evaluate(face_sets: dict[str, FaceSet], embeddings: dict, scores: pd.DataFrame,
             settings: dict | Settings | None = None) -> dict[str, pd.DataFrame]:
    """Tidy tables of everything the workbook measures.

    face_sets   benchmark name -> FaceSet
    embeddings  (recogniser, benchmark) -> (N, D) array, rows as in the face set's images, or a function
                without arguments that returns it (so that not all need to be in memory)
    scores      columns benchmark, image_id, method, score; NaN or a missing row: not scored, -inf: failure
                to extract. Rows of other benchmarks are ignored.
    settings    a `Settings` or the mapping it is made from (section `evaluation` of params.yaml)

    Returns
    pauc          the columns PAUC; `fmr` is the rate really reached, pairs_unscored the genuine pairs left
                  out because the method did not score an image, note says why values are missing, and that
                  there are no errors or many ties
    edc           benchmark, recogniser, method, preset, discard, fnmr, low, high
    means         recogniser ("all" too), method, preset, discard_limit, pauc, low, high, benchmarks
    differences   method_a, method_b, preset, discard_limit, difference (a - b), low, high, benchmarks
    verification  see `verification_table`
    ranks         benchmark, method_a, method_b, spearman, kendall, images
    causes        benchmark, method, cause, spearman, images
    replicates    a row per row of pauc: its pAUC in the first resamples; NaN for references
    Intervals are 95 % over resampled identities with the threshold kept; for the reference "random" they
    are the spread of the draws. "oracle" and "random" are measured on the pairs that some method scored.
    Raises FiqaError for inconsistent input, and where all benchmarks have too few impostors for the fmr in every preset.
    """
    chosen = settings_of(settings)
    tables = {name: score_table(name, faces, scores) for name, faces in face_sets.items()}

    def measure(name: str) -> tuple[list[Cell], pd.DataFrame]:
        pairs = benchmark_pairs(face_sets[name])
        found = similarities(pairs, name, embeddings)
        return measure_benchmark(pairs, name, found, tables[name], chosen), verify(pairs, name, found)

    with ThreadPoolExecutor(PARALLEL) as pool:
        measured = list(pool.map(measure, face_sets))
    cells = [cell for part, _ in measured for cell in part]
    curves = [curve for cell in cells for curve in cell.result.curves.values()]
    if curves and all(curve.gap and curve.genuine and curve.impostor for curve in curves):
        raise curves[0].gap                     # no benchmark can show the fmr asked for, in no preset
    frames = [faces.images.reset_index(drop=True) for faces in face_sets.values()]
    return {"pauc": pauc_table(cells, chosen), "replicates": replicates_table(cells, chosen.discard_limits),
            "edc": edc_table(cells), "means": means_table(cells, chosen),
            "differences": differences_table(cells, chosen),
            "verification": pd.concat([table for _, table in measured], ignore_index=True),
            "ranks": stacked({name: method_ranks(table) for name, table in tables.items()}),
            "causes": stacked({name: cause_correlations(table, images)
                               for (name, table), images in zip(tables.items(), frames)})}


def settings_of(settings: dict | Settings | None) -> Settings:
    """`Settings` from a mapping with lists for tuples. Raises FiqaError for an unknown key."""
    if isinstance(settings, Settings):
        return settings
    try:
        return Settings(**{key: tuple(value) if isinstance(value, list) else value
                           for key, value in typed(settings or {}, kinds_of(Settings), "evaluation").items()})
    except TypeError as error:
        raise FiqaError(f"evaluation settings: {error}",
                        f"known are {', '.join(Settings.__annotations__)}") from None


def score_table(name: str, faces: FaceSet, scores: pd.DataFrame) -> pd.DataFrame:
    """Scores of one benchmark: a row per image in the face set's order, a column per method, NaN if none.

    Raises FiqaError if a column is missing, an image is scored twice by a method, or is not in the face set.
    """
    missing = [column for column in SCORE_COLUMNS if column not in scores]
    if missing:
        raise FiqaError(f"scores lack column {missing[0]}", f"the columns are {', '.join(SCORE_COLUMNS)}")
    own = scores[scores["benchmark"] == name]
    twice = own.duplicated(["image_id", "method"])
    if twice.any():
        row = own[twice].iloc[0]
        raise FiqaError(f"{name}: {row['method']} scores {row['image_id']} twice", "score each image once")
    place = pd.Index(faces.images["image_id"]).get_indexer(own["image_id"])
    if (place < 0).any():
        raise FiqaError(f"{name}: scored image {own['image_id'][place < 0].iloc[0]} is not in the face set",
                        "score the prepared images: dvc repro")
    methods = list(dict.fromkeys(own["method"]))
    values = np.full((len(faces), len(methods)), np.nan)
    values[place, pd.Index(methods).get_indexer(own["method"])] = own["score"]
    return pd.DataFrame(values, columns=methods)


def similarities(pairs: BenchmarkPairs, benchmark: str, embeddings: dict) -> dict[str, np.ndarray]:
    """Recogniser -> similarity (P,) for every recogniser with embeddings of this benchmark."""
    found = {recogniser: pairs.similarity(value() if callable(value) else value)
             for (recogniser, name), value in embeddings.items() if name == benchmark}
    if not found:
        raise FiqaError(f"no recogniser has embeddings of {benchmark}", "embed it first: dvc repro embed")
    return found


def measure_benchmark(pairs: BenchmarkPairs, benchmark: str, similarity: dict, scores: pd.DataFrame,
                      chosen: Settings) -> list[Cell]:
    """All methods, then the references, under every preset. The seed depends on the benchmark's name only."""
    seed = [chosen.seed, crc32(benchmark.encode())]
    measure = Measure(pairs, similarity, chosen, seed)
    anyone = np.full(len(pairs.a), scores.empty)
    measured = {}
    for method in scores:
        rank = pairs.ranks(scores[method].to_numpy(), chosen.template_quality)
        anyone |= rank != UNSCORED
        measured[method] = measure.ranked(rank)
    measured |= {ORACLE: measure.oracle(anyone), RANDOM: measure.random(anyone)}
    return [Cell(benchmark, method, preset, found[preset])
            for preset in chosen.presets for method, found in measured.items() if preset in found]


def verify(pairs: BenchmarkPairs, benchmark: str, similarity: dict[str, np.ndarray]) -> pd.DataFrame:
    """Rows of the verification table for one benchmark."""
    return pd.DataFrame([{"benchmark": benchmark, "recogniser": recogniser,
                          **asdict(verification_or_gap(values, pairs.genuine, pairs.fold))}
                         for recogniser, values in similarity.items()])


def verification_table(face_sets: dict[str, FaceSet], embeddings: dict) -> pd.DataFrame:
    """Columns benchmark, recogniser, accuracy, accuracy_sd, eer, fnmr_fmr1e2, fnmr_fmr1e3, threshold, dprime,
    genuine, impostor, note (why values are missing); embeddings as in `evaluate`. Benchmarks without
    embeddings have no row."""
    tables = []
    for name, faces in face_sets.items():
        if any(benchmark == name for _, benchmark in embeddings):
            pairs = benchmark_pairs(faces)
            tables.append(verify(pairs, name, similarities(pairs, name, embeddings)))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def pauc_table(cells: list[Cell], chosen: Settings) -> pd.DataFrame:
    """One row per cell, recogniser and discard limit."""
    rows = []
    for cell in cells:
        for recogniser, curve in cell.result.curves.items():
            for limit in chosen.discard_limits:
                key = recogniser, limit
                rows.append((cell.benchmark, recogniser, cell.method, cell.preset, curve.fmr, limit,
                             cell.result.pauc[key], *percentile_interval(cell.result.replicates.get(key)),
                             cell.result.pauc_raw[key], curve.fnmr0, curve.threshold, curve.genuine,
                             curve.impostor, curve.errors, cell.result.unscored, curve.note))
    return pd.DataFrame(rows, columns=PAUC)


def edc_table(cells: list[Cell]) -> pd.DataFrame:
    """Curves with their bands on the preset's grid."""
    parts = [pd.DataFrame(columns=[*PLACE, "discard", "fnmr", "low", "high"])]
    for cell in cells:
        for recogniser, fnmr in cell.result.fnmr.items():
            place = dict(zip(PLACE, (cell.benchmark, recogniser, cell.method, cell.preset)))
            low, high = percentile_interval(cell.result.band.get(recogniser))
            parts.append(pd.DataFrame({**place, "discard": GRIDS[cell.preset], "fnmr": fnmr, "low": low,
                                       "high": high}))
    return pd.concat(parts[1:] or parts, ignore_index=True)


def areas(cells: list[Cell], chosen: Settings):
    """Yield preset, limit and method -> {(benchmark, recogniser): (pAUC, replicates)}, where defined."""
    for preset in chosen.presets:
        for limit in chosen.discard_limits:
            found = {}
            for cell in (cell for cell in cells if cell.preset == preset):
                own = found.setdefault(cell.method, {})
                own |= {(cell.benchmark, name): (cell.result.pauc[name, limit],
                                                 cell.result.replicates.get((name, limit)))
                        for name in cell.result.curves if not np.isnan(cell.result.pauc[name, limit])}
            yield preset, limit, found


def means_table(cells: list[Cell], chosen: Settings) -> pd.DataFrame:
    """Mean pAUC over benchmarks, per recogniser and over all; resamples of benchmarks are independent.

    A benchmark without errors (pAUC undefined) is left out; column `benchmarks` counts those averaged.
    """
    recognisers = dict.fromkeys(name for cell in cells for name in cell.result.curves)
    rows = []
    for preset, limit, found in areas(cells, chosen):
        for recogniser in ["all", *recognisers]:
            for method, cell in found.items():
                own = {key: area for key, area in cell.items() if recogniser in ("all", key[1])}
                if own:
                    values, replicates = zip(*own.values())
                    rows.append((recogniser, method, preset, limit, np.mean(values),
                                 *percentile_interval(mean_replicates(replicates)),
                                 len({name for name, _ in own})))
    return pd.DataFrame(rows, columns=["recogniser", "method", "preset", "discard_limit", "pauc", "low",
                                       "high", "benchmarks"])


def differences_table(cells: list[Cell], chosen: Settings) -> pd.DataFrame:
    """pAUC of method a minus b, mean over all benchmarks and recognisers both have, on the same resamples.

    An interval that excludes 0 says the order of the two is not an accident of the identities drawn.
    References are left out: the oracle's bound and chance stand in `means`.
    """
    rows = []
    for preset, limit, found in areas([c for c in cells if c.method not in REFERENCES], chosen):
        for a, b in combinations(found, 2):
            keys = [key for key in found[a] if key in found[b]]
            if keys:
                values, replicates = zip(*(zip(*(found[method][key] for key in keys)) for method in (a, b)))
                first, second = map(mean_replicates, replicates)
                spread = percentile_interval(None if first is None or second is None else first - second)
                rows.append((a, b, preset, limit, np.mean(np.subtract(*values)), *spread,
                             len({name for name, _ in keys})))
    return pd.DataFrame(rows, columns=["method_a", "method_b", "preset", "discard_limit", "difference",
                                       "low", "high", "benchmarks"])


def stacked(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Tables of several benchmarks under each other, with a first column `benchmark`."""
    return pd.concat([table.assign(benchmark=name)[["benchmark", *table.columns]]
                      for name, table in tables.items()], ignore_index=True)


def replicates_table(cells: list[Cell], limits: tuple[float, ...]) -> pd.DataFrame:
    """Replicates of pAUC, a row per row of `pauc_table`, up to KEPT columns; NaN where a row has none.

    An interval of one pAUC says nothing about an ORDER of methods, which are all measured on the same
    resamples and move together; for that the replicates are kept. References have none: those of "random"
    are draws of an order, not of identities.
    """
    rows = [None if cell.method in REFERENCES else cell.result.replicates.get((recogniser, limit))
            for cell in cells for recogniser in cell.result.curves for limit in limits]
    count = min([KEPT, *(len(row) for row in rows if row is not None)])
    empty = np.full(count, np.nan)
    return pd.DataFrame([empty if row is None else row[:count] for row in rows], dtype=np.float32)
