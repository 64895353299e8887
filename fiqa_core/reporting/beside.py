"""Published beside measured, never mixed up: two columns, ranks compared, values only where they may be.

The papers' numbers come from photographs and large recognisers. Unless a suite measures the same
benchmark with the same recogniser, only the ORDER of methods can be compared; the functions here put that
rule into one place: no row match, no difference; no photographs, no difference. What is measured is read by
name: only methods that params.yaml asks for count, whatever else lies in a folder.
"""
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.base import project
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import read_table, write_csv
from fiqa_core.base.project import settings
from fiqa_core.evaluation.edc import REFERENCES
from fiqa_core.registry import methods_of
from fiqa_core.reporting.names import name_of

TEXT = ("method", "method_a", "method_b", "recogniser", "cause", "ablation")  # names, whatever they look like
PREFERRED = {"recogniser": ("ArcFace", "CosFace"), "benchmark": ("XQLFW", "LFW-XQ")}
TRUE_FACES = ("photographs", "official")  # values of `faces.source` that stand for real photographs


def comparable() -> bool:
    """True if the active suite's values may be subtracted from published ones: photographs only."""
    return settings("faces.source") in TRUE_FACES


def provenance() -> str:
    """One plain statement: where measured numbers come from, and what follows for comparing them."""
    rule = "Therefore only the ranking of methods is compared, never a value."
    if comparable():
        rule = ("Values are subtracted only where benchmark and recogniser are the same; everywhere else "
                "only ranks can be compared.")
    return ("Published numbers come from the papers (photographs, large recognisers). Measured numbers come "
            f"from the suite `{settings('suite')}`: {' '.join(settings('about').split())} {rule} {origin()}")


def origin() -> str:
    """What of the measured faces was photographed and what rendered: to stand beside every table."""
    faces = settings("faces")
    if not comparable():
        return "Measured faces: all rendered, no photograph."
    sets = faces.get("benchmarks") or {faces.get("name", "LFW"): faces}
    spoilt = [entry["cross_quality"] for entry in sets.values() if (entry or {}).get("cross_quality")]
    text = f"Measured faces: photographed ({', '.join(sets)})"
    if spoilt:
        text += f", and photographed with flaws that were added afterwards ({', '.join(spoilt)})"
    return f"{text}; none is rendered. Pages that show them must not be passed on, unless the rights are yours."


def suite_methods() -> dict[str, str]:
    """Slug -> name of the methods that params.yaml asks for, by slug.

    One without a row in `names` is called as its scores call it, or by its slug where it has none yet.
    """
    found = {slug: name_of(slug) or slug for slug in sorted(methods_of(settings()))}
    for slug in (slug for slug in found if not name_of(slug)):
        path = project.results() / "scores" / f"{slug}.csv"
        if path.is_file():
            found[slug] = read_table(path, TEXT)["method"].get(0, slug)
    return found


def choose(what: str, available, wanted: str = "", preferred: tuple[str, ...] | None = None) -> str:
    """The "recogniser" or "benchmark" (`what`) to show: `wanted` if given, else the first of `preferred`
    that is available, else the first available. PREFERRED benchmarks have the widest range of quality."""
    names = [name for name in dict.fromkeys(available) if name != "all"]
    if wanted and wanted not in names:
        raise FiqaError(f"{what} is {wanted!r}, which is not measured", f"choose among {', '.join(names)}")
    return next(name for name in (wanted, *(preferred or PREFERRED[what]), *names) if name in names)


def load_measured(name: str, columns: tuple[str, ...] = (), every: bool = False) -> pd.DataFrame:
    """Read `results/<name>.csv` (`name` such as "evaluation/pauc"), which must have at least `columns`.

    Rows of methods that the suite does not ask for are left out, unless `every` row is wanted. Raises
    FiqaError if the table is missing or lacks a column.
    """
    path = project.results() / f"{name}.csv"
    table = read_table(path, TEXT)
    lacking = [c for c in columns if c not in table]
    if lacking:
        raise FiqaError(f"{path} lacks the column {', '.join(lacking)}", "make it again: dvc repro")
    return table if every else table[asked_for(table)].reset_index(drop=True)


def asked_for(table: pd.DataFrame) -> pd.Series:
    """True for the rows of `table` whose methods, if it names any, are the suite's or references."""
    known, kept = {*suite_methods().values(), *REFERENCES}, pd.Series(True, index=table.index)
    for column in table.columns.intersection(["method", "method_a", "method_b"]):
        kept &= table[column].isin(known)
    return kept


def load_scores(methods: list[str] | None = None, failed: bool = False) -> pd.DataFrame:
    """Scores of the suite's methods (or of those named `methods`): benchmark, image_id, method, score.

    failed  True: with the images that failed, score -inf. Images that were not scored have no row.
    Raises FiqaError if there are no scores, or none of a wanted method.
    """
    paths = [project.results() / "scores" / f"{slug}.csv" for slug in suite_methods()]
    tables = [read_table(path, TEXT) for path in paths if path.is_file()]
    if not tables:
        raise FiqaError(f"{project.results() / 'scores'} holds no scores of this suite's methods",
                        "run the stages that make them: dvc repro")
    table = pd.concat(tables, ignore_index=True)
    lacking = sorted(set(methods or ()) - set(table["method"]))
    if lacking:
        raise FiqaError(f"there are no scores of {', '.join(lacking)}", "score them first: dvc repro")
    kept = np.isfinite(table["score"]) | failed
    return table[kept if methods is None else kept & table["method"].isin(methods)].reset_index(drop=True)


def beside(published: pd.DataFrame, measured: pd.DataFrame, keys: list[str], value: str,
           may_subtract: bool) -> pd.DataFrame:
    """Join published and measured values on `keys`.

    published  `keys` and value; measured: `keys`, the column named `value`, and low, high if it has them.
    Returns `keys`, published, measured, low, high, difference (measured - published; NaN unless
    `may_subtract`), verdict (text). Every row of either side stays; NaN where the other has none.
    """
    left = published[[*keys, "value"]].rename(columns={"value": "published"})
    right = measured.rename(columns={value: "measured"}).reindex(columns=[*keys, "measured", "low", "high"])
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
    shown = table.drop(columns=["low", "high"])
    if "difference" in shown and shown["difference"].isna().all():
        shown = shown.drop(columns="difference")
    for column in shown.select_dtypes("floating"):
        shown[column] = ["" if np.isnan(v) else f"{v:.{digits}f}" for v in shown[column]]
    spans = ["" if np.isnan(low) else f" [{low:.{digits}f}, {high:.{digits}f}]"
             for low, high in zip(table["low"], table["high"])]
    return shown.assign(**{value: [text and text + span for text, span in zip(shown[value], spans)]})


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
