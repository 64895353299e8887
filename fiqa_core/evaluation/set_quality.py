"""Quality of whole sets of faces, real or generated: mean and deviation of each method's scores.

A mean by itself says little, because every method has a scale of its own. Beside it stands the distance to a
reference set in units of that set's deviation: what a slide prints for one method and what is measured for
another can be compared there, in sign and order.
"""

import numpy as np
import pandas as pd

from fiqa_core.errors import FiqaError
from fiqa_core.evaluation.comparison import order_methods
from fiqa_core.evaluation.published import load_published

SCORE_COLUMNS = ("set", "method", "score")
REAL = "Tufts"  # the only set of true faces on the slide


def summarise(scores: pd.DataFrame, reference: str = "") -> pd.DataFrame:
    """One row per method and set, methods in the papers' order, sets as they come.

    scores     set, method, score; -inf or NaN: no face was extracted or no score given
    reference  name of a set; its own distance is 0
    Returns method, set, images (with a score), failed, mean, sd (sample, NaN for one image), distance (to the
    reference's mean in units of its sd; NaN without a reference). Raises FiqaError for an unknown reference
    or a missing column.
    """
    lacking = [c for c in SCORE_COLUMNS if c not in scores]
    if lacking:
        raise FiqaError(f"scores lack the column {lacking[0]}", f"the columns are {', '.join(SCORE_COLUMNS)}")
    if reference and reference not in set(scores["set"]):
        raise FiqaError(
            f"there is no set {reference!r}", f"choose among {', '.join(dict.fromkeys(scores['set']))}"
        )
    finite = scores.assign(score=scores["score"].where(np.isfinite(scores["score"])))
    table = finite.groupby(["method", "set"], sort=False)["score"].agg(
        images="count", failed=lambda values: int(values.isna().sum()), mean="mean", sd="std"
    )
    table = table.reset_index().sort_values(
        "method", key=place_of(finite["method"]), kind="stable", ignore_index=True
    )
    return with_distance(table, ["method"], reference)


def place_of(methods):
    """A sort key that puts methods into the papers' order."""
    order = {method: place for place, method in enumerate(order_methods(methods))}
    return lambda names: names.map(order)


def with_distance(table: pd.DataFrame, groups: list[str], reference: str) -> pd.DataFrame:
    """`table` with the column distance, (mean - reference mean) / reference sd, within `groups`."""
    own = table[table["set"] == reference].set_index(groups)
    keys = pd.MultiIndex.from_frame(table[groups]) if len(groups) > 1 else pd.Index(table[groups[0]])
    mean, sd = (own[column].reindex(keys).to_numpy() for column in ("mean", "sd"))
    return table.assign(distance=(table["mean"].to_numpy() - mean) / sd)


def published_sets() -> pd.DataFrame:
    """The slide's CR-FIQA scores: spectrum, place, set, assigned, mean, sd, distance to the real set.

    Six of sixteen values cannot be assigned to their sets with certainty; `assigned` is False for them and
    their distance, which does not depend on the name, is given all the same.
    """
    table = load_published("cr_fiqa_synthetic")
    parts = table["setting"].str.extract(r"(?P<spectrum>.*), place (?P<place>\d+)")
    table = table.assign(
        spectrum=parts["spectrum"],
        place=parts["place"].astype(int),
        set=table["benchmark"],
        assigned=table["mark"] == "",
    )
    keys = ["spectrum", "place", "set", "assigned"]
    wide = table.pivot(index=keys, columns="quantity", values="value").reset_index().rename_axis(columns=None)
    wide = wide.rename(columns={"quality score mean": "mean", "quality score sd": "sd"})
    wide = wide.sort_values(["spectrum", "place"], ascending=[False, True], ignore_index=True)
    return with_distance(wide, ["spectrum"], REAL)
