"""Resampled areas of every method, kept: what a statement about an ORDER of methods needs.

The interval of one pAUC says nothing about ranks, because all methods are measured on the same resampled
identities and move together. So the first few hundred replicates of each row of `pauc.csv` are stored as they
are; `ranking` ranks the methods anew in each of them.
"""

import numpy as np
import pandas as pd

from fiqa_core import project
from fiqa_core.errors import FiqaError
from fiqa_core.evaluation.comparison import REFERENCES, load_measured

KEPT = (
    200  # enough for the ends of a 95 % interval of a rank; 5 MB for 23 methods, 8 benchmarks, 8 recognisers
)
FILE = "replicates.npy"


def replicates_table(cells, limits: tuple[float, ...]) -> pd.DataFrame:
    """Replicates of pAUC, a row per row of `pauc.csv`, up to KEPT columns; NaN where a row has none.

    cells  `benchmarking.Cell`s in the order of pauc.csv. References have none: the replicates of "random" are
           draws of an order, not of identities.
    """
    rows = [
        None if cell.method in REFERENCES else cell.result.replicates.get((recogniser, limit))
        for cell in cells
        for recogniser in cell.result.curves
        for limit in limits
    ]
    count = min([KEPT, *(len(row) for row in rows if row is not None)])
    empty = np.full(count, np.nan)
    return pd.DataFrame([empty if row is None else row[:count] for row in rows], dtype=np.float32)


def load_replicates() -> tuple[pd.DataFrame, np.ndarray]:
    """`results/evaluation/pauc.csv` and the replicates of its rows, (rows, R) float32, NaN where undefined.

    Raises FiqaError if either is missing or they do not belong together.
    """
    table = load_measured("evaluation/pauc", ("benchmark", "recogniser", "method", "preset", "discard_limit"))
    path = project.results() / "evaluation" / FILE
    if not path.is_file():
        raise FiqaError(f"{path} is missing", "evaluate again: dvc repro evaluate")
    try:
        replicates = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise FiqaError(f"{path} is no array: {error}", "evaluate again: dvc repro evaluate") from error
    if replicates.ndim != 2 or len(replicates) != len(table):
        raise FiqaError(
            f"{path} has the shape {replicates.shape}, pauc.csv has {len(table)} rows",
            "evaluate again: dvc repro evaluate",
        )
    return table, replicates
