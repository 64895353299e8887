"""Challenge: quality thresholds for applications with goals of their own (notebook 44)."""
from zlib import crc32

import numpy as np
import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.progress import progress
from fiqa_core.base.project import settings
from fiqa_core.challenges.chosen_faces import (available_methods, chosen_recognisers, saved_scores,
                                               with_settings)
from fiqa_core.challenges.operating_points import (CHECKED, Application, OperatingPoint, Traffic, calibrate,
                                                   check, halves)
from fiqa_core.evaluation.comparisons import BenchmarkPairs, benchmark_pairs
from fiqa_core.pipeline.embed import load_embeddings
from fiqa_core.pipeline.outputs import load_benchmarks
from fiqa_core.reporting.beside import load_scores

KEYS = ["method", "application", "rule"]
TRANSFER = [*KEYS, "fnmr_goal", "benchmark", *CHECKED, "verdict", "fmr_verdict"]


def measure_applications() -> dict[str, pd.DataFrame]:
    """Thresholds for every application of `challenges.specialised`, by every method; tables of `_measure`."""
    return with_settings(_measure, "challenges.specialised")


def _measure(recogniser: str, methods: list, applications: dict, splits: int, resamples: int,
             most_discarded: float) -> dict[str, pd.DataFrame]:
    """Tables: `points` (one row per method, application and rule, of the first split), `splits` (shares over
    all splits) and `transfer` (the points of the first split on each benchmark's unseen identities alone).

    All benchmarks are pooled: an application sees mixed traffic. Each split halves the identities anew.
    """
    goals = [Application(name, **rates) for name, rates in applications.items()]
    slug, name = next(iter(chosen_recognisers([recogniser]).items()))
    pool = Pool(slug, list(available_methods(methods).values()))
    parts = []
    for method in progress(pool.methods, "thresholds", unit="methods"):
        everything = pool.traffic(method)
        for split in range(splits):
            chosen = halves(everything.identities, [settings("seed"), split])
            own = [crc32(method.encode()), split]
            parts += [row | {"method": method, "split": split} for goal in goals
                      for row in _one_split(everything, chosen, goal, resamples, own, most_discarded)]
    table = pd.DataFrame(parts)
    points = table[table["split"] == 0].drop(columns="split").reset_index(drop=True)
    points = points.assign(recogniser=name)
    return {"points": points, "splits": over_splits(table), "transfer": pool.transfer(points, resamples)}


def _one_split(everything: Traffic, chosen: np.ndarray, goal: Application, resamples: int, seed,
               most_discarded: float) -> list[dict]:
    seen, unseen = everything.within(chosen), everything.within(~chosen)
    label = {"application": goal.name, "fmr_goal": goal.fmr, "fnmr_goal": goal.fnmr}
    return [label | {"rule": rule, "similarity_threshold": point.similarity,
                     "quality_threshold": point.quality, "promised_fnmr": point.fnmr,
                     "promised_discard": point.discard}
            | check(unseen, point, goal, resamples, seed)
            for rule, point in calibrate(seen, goal, resamples, seed, most_discarded).items()]


def over_splits(table: pd.DataFrame) -> pd.DataFrame:
    """Per method, application and rule: splits, share in which the goal was in reach, share of those that
    kept it on unseen identities, mean share of comparisons discarded, mean FNMR there."""
    reached = table["quality_threshold"].notna()
    table = table.assign(reached=reached.astype(float),
                         held=(table["fnmr"] <= table["fnmr_goal"]).where(reached).astype(float))
    groups = table.groupby(KEYS, sort=False)
    return groups.agg(splits=("reached", "size"), reached=("reached", "mean"), held=("held", "mean"),
                      discard=("discard", "mean"), fnmr=("fnmr", "mean")).reset_index()


class Pool:
    """All benchmarks' comparisons by one recogniser; identities of the same name are the same person.

    methods  those of `wanted` with scores of some benchmark; genuine pairs with an unscored face are left out
    """

    def __init__(self, slug: str, wanted: list[str]):
        benchmarks, scores = load_benchmarks(), load_scores(failed=True)
        self.pairs = {name: benchmark_pairs(faces) for name, faces in benchmarks.items()}
        self.similarity = {name: pairs.similarity(load_embeddings(slug, name))
                           for name, pairs in self.pairs.items()}
        self.scores = {name: saved_scores(faces, scores, wanted) for name, faces in benchmarks.items()}
        self.methods = [m for m in wanted if any(m in table for table in self.scores.values())]
        self.names = pd.Index(np.unique(np.concatenate([p.images["identity"] for p in self.pairs.values()])))

    def traffic(self, method: str, only: str = "") -> Traffic:
        """The comparisons of all benchmarks that `method` scored, or of benchmark `only`."""
        names = [name for name in self.pairs if only in ("", name) and method in self.scores[name]]
        if not names:
            raise FiqaError(f"{method} has no scores of {only or 'any benchmark'}",
                            "score it first: dvc repro")
        parts = [self._part(self.pairs[name], self.similarity[name], self.scores[name][method].to_numpy())
                 for name in names]
        return Traffic(*(np.concatenate(column) for column in zip(*parts)), len(self.names))

    def _part(self, pairs: BenchmarkPairs, similarity: np.ndarray, scores: np.ndarray) -> tuple:
        owner = np.zeros(pairs.template.max() + 1, dtype=np.int64)
        person = self.names.get_indexer(pairs.images["identity"])
        owner[pairs.template] = person
        quality = pairs.quality(scores)
        scored, rated = ~np.isnan(quality) | ~pairs.genuine, ~np.isnan(scores)
        return (similarity[scored], quality[scored], pairs.genuine[scored], owner[pairs.a[scored]],
                owner[pairs.b[scored]], np.where(pairs.failed, -np.inf, scores)[rated], person[rated])

    def transfer(self, points: pd.DataFrame, resamples: int) -> pd.DataFrame:
        """Every point on each benchmark's unseen identities: does one threshold serve all traffic?"""
        unseen = ~halves(len(self.names), [settings("seed"), 0])
        rows = []
        for point in points[points["quality_threshold"].notna()].to_dict("records"):
            goal = Application(point["application"], point["fmr_goal"], point["fnmr_goal"])
            at = OperatingPoint(point["similarity_threshold"], point["quality_threshold"], np.nan, np.nan)
            for name in (n for n in self.pairs if point["method"] in self.scores[n]):
                found = check(self.traffic(point["method"], name).within(unseen), at, goal, resamples, 0)
                rows.append({key: point[key] for key in (*KEYS, "fnmr_goal")} | {"benchmark": name} | found)
        return pd.DataFrame(rows, columns=TRANSFER)


def transfer_ratios(transfer: pd.DataFrame, rule: str) -> pd.DataFrame:
    """FNMR over its goal: (application, method) down, benchmarks across, thresholds by `rule`; empty if
    none."""
    if transfer.empty:
        return transfer
    rows = transfer[transfer["rule"] == rule]
    rows = rows.assign(ratio=rows["fnmr"] / rows["fnmr_goal"])
    wide = rows.pivot(index=["application", "method"], columns="benchmark", values="ratio")
    return wide[[name for name in dict.fromkeys(transfer["benchmark"]) if name in wide]]
