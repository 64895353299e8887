"""Scores against the true cause of quality loss, where the truth is known (rendered or degraded faces)."""

import numpy as np
import pandas as pd

from fiqa_core.benchmarks.tables import FaceSet
from fiqa_core.evaluation.correlation import causes


def true_magnitudes(benchmarks: dict[str, FaceSet], wanted: list[str]) -> pd.DataFrame:
    """Columns benchmark, image_id, cause, magnitude (>= 0) of every wanted cause; empty if none is known."""
    parts = []
    for name, faces in benchmarks.items():
        known = causes(faces.images)
        known = known[[c for c in wanted if c in known]]
        parts.append(
            known.assign(benchmark=name, image_id=faces.images["image_id"]).melt(
                ["benchmark", "image_id"], var_name="cause", value_name="magnitude"
            )
        )
    columns = ["benchmark", "image_id", "cause", "magnitude"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def binned_scores(scores: pd.DataFrame, truth: pd.DataFrame, bins: int = 6) -> pd.DataFrame:
    """Mean score per bin of true severity, all benchmarks pooled.

    scores  benchmark, image_id, method, score; truth: see `true_magnitudes`
    Returns cause, method, severity (mean of the bin), score (min-max scaled per method), low, high (mean +-
    1.96 standard errors), images. Bins hold equally many images; equal magnitudes stay together.
    """
    span = scores.groupby("method")["score"].agg(["min", "max"])
    scaled = scores.assign(
        score=(scores["score"] - scores["method"].map(span["min"]))
        / (scores["method"].map(span["max"]) - scores["method"].map(span["min"]))
    )
    joined = truth.merge(scaled, on=["benchmark", "image_id"])
    parts = []
    for (cause, method), rows in joined.groupby(["cause", "method"], sort=False):
        group = pd.qcut(rows["magnitude"], bins, labels=False, duplicates="drop")
        means = rows.groupby(group).agg(
            severity=("magnitude", "mean"),
            score=("score", "mean"),
            sd=("score", "std"),
            images=("score", "size"),
        )
        half = 1.96 * means["sd"].fillna(0) / np.sqrt(means["images"])
        parts.append(
            means.assign(cause=cause, method=method, low=means["score"] - half, high=means["score"] + half)
        )
    columns = ["cause", "method", "severity", "score", "low", "high", "images"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def cause_table(correlations: pd.DataFrame, wanted: list[str]) -> pd.DataFrame:
    """Mean Spearman over benchmarks, weighted by images: methods down, the wanted causes across.

    correlations  results/evaluation/causes.csv: benchmark, method, cause, spearman, images
    """
    shown = correlations[correlations["cause"].isin(wanted)].dropna(subset=["spearman"])
    shown = shown.assign(weighted=shown["spearman"] * shown["images"])
    sums = shown.groupby(["method", "cause"])[["weighted", "images"]].sum()
    table = (sums["weighted"] / sums["images"]).unstack("cause")
    return table[[c for c in wanted if c in table]].rename_axis(index=None, columns=None)
