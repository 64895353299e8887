"""Published beside measured, never mixed up: two columns, ranks compared, values only where they may be.

The papers' numbers come from photographs and large recognisers. Unless a suite measures the same
benchmark with the same recogniser, only the ORDER of methods can be compared; the functions here put
that rule into one place: no row match, no difference; no photographs, no difference.
"""
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.base import project
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import write_csv
from fiqa_core.base.project import settings
from fiqa_core.evaluation.edc import REFERENCES
from fiqa_core.reporting.names import METHODS
from fiqa_core.reporting.published import COUNTERPARTS

OWN_METHODS = tuple(METHODS.values())
TRUE_FACES = ("photographs", "official")  # values of `faces.source` that stand for real photographs
# What figures of a few methods show: the papers' own and those they are mostly compared with.
FOCUS = ("SER-FIQ", "CR-FIQA", "FaceQAN", "DifFIQA", "DifFIQA(R)", "eDifFIQA(S)", "eDifFIQA(M)",
         "eDifFIQA(L)")


def comparable() -> bool:
    """True if the active suite's values may be subtracted from published ones: photographs only."""
    return settings("faces.source") in TRUE_FACES


def provenance() -> str:
    """One plain statement: where measured numbers come from, and what follows for comparing them."""
    origin = (
        f"Published numbers come from the papers (photographs, large recognisers). Measured numbers come "
        f"from the suite `{settings('suite')}`: {' '.join(settings('about').split())}"
    )
    if comparable():
        return (
            f"{origin} Values are subtracted only where benchmark and recogniser are the same; everywhere "
            "else only ranks can be compared."
        )
    return f"{origin} Therefore only the ranking of methods is compared, never a value."


def load_measured(name: str, columns: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read `results/<name>.csv` (`name` such as "evaluation/pauc"), which must have at least `columns`.

    Raises FiqaError if the table is missing or lacks a column.
    """
    path = project.results() / f"{name}.csv"
    if not path.is_file():
        raise FiqaError(f"{path} is missing", "run the stages that make it: dvc repro")
    table = pd.read_csv(path)
    lacking = [c for c in columns if c not in table]
    if lacking:
        raise FiqaError(f"{path} lacks the column {', '.join(lacking)}", "make it again: dvc repro")
    return table


def load_scores(methods: list[str] | None = None) -> pd.DataFrame:
    """All of `results/scores` (or those of `methods`): benchmark, image_id, method, score; one row per image,
    images that failed or were not scored left out. Raises FiqaError if a wanted method has none."""
    files = sorted((project.results() / "scores").glob("*.csv"))
    if not files:
        raise FiqaError(f"{project.results() / 'scores'} holds no scores",
                        "run the stages that make them: dvc repro")
    table = pd.concat([pd.read_csv(f, dtype={"image_id": str}) for f in files], ignore_index=True)
    if methods is not None:
        lacking = sorted(set(methods) - set(table["method"]))
        if lacking:
            raise FiqaError(f"there are no scores of {', '.join(lacking)}", "score them first: dvc repro")
        table = table[table["method"].isin(methods)]
    return table[np.isfinite(table["score"])].reset_index(drop=True)


def order_methods(methods) -> list[str]:
    """`methods` without repeats in the papers' order, then the others by name, random and oracle last.

    A printed name stands where its counterpart would."""
    found = set(methods)
    printed = {measured: name for name, measured in COUNTERPARTS.items()}
    own = [n for m in OWN_METHODS for n in (printed.get(m), m) if n in found]
    references = [m for m in REFERENCES if m in found]
    return own + sorted(found - set(own) - set(references)) + references


def focus(methods, wanted=()) -> list[str]:
    """The methods that a figure with room for few should show, in the papers' order.

    wanted  names to show, without those not among `methods`; nothing: FOCUS, or all if none is there
    """
    found = set(methods)
    return order_methods(found & set(wanted or FOCUS) or found)


def beside(published: pd.DataFrame, measured: pd.DataFrame, keys: list[str], value: str,
           may_subtract: bool) -> pd.DataFrame:
    """Join published and measured values on `keys`.

    published  `keys` and value; measured: `keys`, the column named `value`, and low, high if it has them.
    Returns `keys`, published, measured, low, high, difference (measured - published; NaN unless
    `may_subtract`), verdict (text). Every row of either side stays; NaN where the other has none.
    """
    left = published[[*keys, "value"]].rename(columns={"value": "published"})
    right = measured.rename(columns={value: "measured"})
    right = right.assign(**{c: np.nan for c in ("low", "high") if c not in right})
    right = right[[*keys, "measured", "low", "high"]]
    for side, table in (("published", left), ("measured", right)):
        if table.duplicated(keys).any():
            raise FiqaError(f"the {side} table has two values for one {' and '.join(keys)}",
                            "select one preset, discard limit and recogniser first")
    joined = left.merge(right, on=keys, how="outer")
    joined["difference"] = joined["measured"] - joined["published"] if may_subtract else np.nan
    joined["verdict"] = [verdict(row, may_subtract) for row in joined.itertuples()]
    return joined


def verdict(row, may_subtract: bool) -> str:
    """What one row of `beside` lets one say."""
    if np.isnan(row.published):
        return "no published counterpart"
    if np.isnan(row.measured):
        return "not measured in this suite"
    if not may_subtract:
        return "compare ranks only"
    if np.isnan(row.low) or np.isnan(row.high):
        return "no interval"
    inside = row.low <= row.published <= row.high
    return f"{'within' if inside else 'outside'} what resampling explains"


def interval_text(table: pd.DataFrame, value: str = "measured", digits: int = 3) -> pd.DataFrame:
    """Copy of `table` for reading: `value` with low and high as "0.712 [0.690, 0.735]", other numbers
    rounded, gaps as an empty cell."""
    shown = table.copy()
    spans = [f"{v:.{digits}f}" if np.isnan(lo) else f"{v:.{digits}f} [{lo:.{digits}f}, {hi:.{digits}f}]"
             for v, lo, hi in zip(table[value], table["low"], table["high"])]
    shown[value] = ["" if text == "nan" else text for text in spans]
    shown = shown.drop(columns=["low", "high"])
    if "difference" in shown and shown["difference"].isna().all():
        shown = shown.drop(columns="difference")
    for column in shown.select_dtypes("floating"):
        shown[column] = ["" if np.isnan(v) else f"{v:.{digits}f}" for v in shown[column]]
    return shown


def artefact(slug: str) -> Path:
    """Folder `results/artefacts/<slug>` of one artefact notebook, created if needed."""
    folder = project.results() / "artefacts" / slug
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def save_table(table: pd.DataFrame, slug: str, sort: list[str], name: str = "table") -> Path:
    """Write `results/artefacts/<slug>/<name>.csv`, rows in the order of `sort`; equal tables, equal bytes.

    Raises FiqaError if `sort` names a column the table lacks.
    """
    lacking = [c for c in sort if c not in table]
    if lacking:
        raise FiqaError(f"the table of {slug} has no column {', '.join(lacking)} to sort by",
                        "name columns it has")
    path = artefact(slug) / f"{name}.csv"
    write_csv(table.sort_values(sort, kind="stable"), path)
    return path
