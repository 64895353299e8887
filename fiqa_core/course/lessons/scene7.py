"""Lesson 7: which method is best? The printed tables."""
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.base.files import read_table
from fiqa_core.course import sketch
from fiqa_core.course.exercises.l7 import mean_ranks
from fiqa_core.course.lessons.scene2 import LIMIT, areas, intervals

PUBLISHED = Path(__file__).resolve().parents[2] / "inputs" / "published"


@cache
def printed(name: str) -> pd.DataFrame:
    """A table of the papers, as it is shipped."""
    return read_table(PUBLISHED / f"{name}.csv", text=("mark", "method", "recogniser", "quantity", "setting", "source"))


def averages() -> pd.DataFrame:
    """DifFIQA's two average areas of each method."""
    return printed("diffiqa_average_pauc").pivot_table(index="method", columns="discard_limit", values="value", sort=False)


def draw_averages(limit: float = 0.3):
    """Averages at a discard limit, the lowest first."""
    values = averages()[limit].sort_values()
    return sketch.bars(values.to_dict(), f"printed average pAUC at {limit} (lower is better)",
                        "One dot for each method, the averages of the DifFIQA paper", "Seven benchmarks in "
                                                                                      "one number")


@cache
def per_benchmark(recogniser: str = "ArcFace") -> pd.DataFrame:
    """eDifFIQA's areas, methods by benchmarks."""
    table = printed("ediffiqa_pauc")
    own = table[(table["recogniser"] == recogniser) & (table["benchmark"] != "mean")]
    return own.pivot_table(index="method", columns="benchmark", values="value", sort=False)


def marked(recogniser: str = "ArcFace") -> np.ndarray:
    """Which cells carry the dagger, in the shape of `per_benchmark`."""
    table, shape = printed("ediffiqa_pauc"), per_benchmark(recogniser)
    daggers = table[(table["recogniser"] == recogniser) & (table["mark"] == "dagger")]
    found = pd.DataFrame(False, shape.index, shape.columns)
    for row in daggers.itertuples():
        found.loc[row.method, row.benchmark] = True
    return found.to_numpy()


def ranks_and_means(recogniser: str = "ArcFace") -> pd.DataFrame:
    """Mean rank and mean area of each method, without the marked cells."""
    table = per_benchmark(recogniser)
    values = table.where(~marked(recogniser))
    found = pd.DataFrame({"mean rank": mean_ranks(table.to_numpy(), marked(recogniser)), "mean pAUC": values.mean(axis=1)},
                         index=table.index)
    return found.sort_values("mean rank").round(3)


def draw_spread(recogniser: str = "ArcFace"):
    """Every method's area on every benchmark."""
    return sketch.cells(per_benchmark(recogniser), 0.3, 1.1, "Fifteen methods by seven benchmarks; a few "
                                                             "cells lie above 1",
                         f"Printed pAUC at 0.3, {recogniser} (lower is better)", "{:.3f}")


def without(benchmark: str, recogniser: str = "ArcFace") -> pd.Series:
    """Average areas when one benchmark is left out, the lowest first."""
    return per_benchmark(recogniser).drop(columns=benchmark).mean(axis=1).sort_values().round(4)


def draw_doubt():
    """Areas of this course's own comparisons with intervals of resampled people."""
    found = areas()
    chosen = {name: found[name] for name in found if name != "random"}
    return sketch.bars(chosen, f"pAUC at {LIMIT} on rendered faces (lower is better)",
                        "Dots with intervals; several intervals overlap", "Resampled people",
                        intervals=intervals())


def run_times() -> pd.DataFrame:
    """Printed times with the hardware that they were taken on."""
    table = pd.concat([printed("runtime_and_parameters"), printed("faceqan_runtime")])
    own = table[table["quantity"] == "run time mean"]
    return own[["method", "setting", "value", "unit", "source"]].reset_index(drop=True)


def same_and_cross() -> pd.DataFrame:
    """Mean areas under two recognisers, of which the scores' own is neither or one."""
    found = {name: per_benchmark(name).mean(axis=1) for name in ("ArcFace", "TransFace")}
    table = pd.DataFrame(found)
    return table.assign(difference=table["TransFace"] - table["ArcFace"]).round(3)


def claimed() -> dict:
    """Nothing is claimed of the pack: sentences of this lesson stand in printed tables."""
    return {}
