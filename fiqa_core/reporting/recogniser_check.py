"""FNMR without discard of each recogniser: a wrong recogniser or alignment shows here first.

The papers print no such numbers. They were read from the left ends of eDifFIQA's curves, whose axes end at
1.1 FNMR(0); where a benchmark has few thousand genuine pairs the reading is exact to one error.
"""
import numpy as np
import pandas as pd

from fiqa_core.reporting.beside import beside, comparable, load_measured
from fiqa_core.reporting.published import load_published, pick

KEYS = ["recogniser", "benchmark"]
# genuine pairs of the papers' protocols; the other benchmarks count templates or sampled pairs
GENUINE = {"LFW": 3000, "CALFW": 3000, "CPLFW": 3000, "XQLFW": 3000, "CFP-FP": 3500}


def fnmr_without_discard(preset: str = "paper") -> pd.DataFrame:
    """FNMR at FMR 1e-3 with nothing discarded, published (digitised) beside measured.

    Columns: recogniser, benchmark, published, measured, low, high (95 % over resampled identities),
    difference, verdict, published_errors (NaN where the number of pairs is not fixed), errors, genuine.
    """
    printed = pick(load_published("digitised_edc"), quantity="FNMR(0)")
    areas = pick(load_measured("evaluation/pauc"), preset=preset, method="oracle").drop_duplicates(KEYS)
    curves = pick(load_measured("evaluation/edc"), preset=preset, method="oracle", discard=0.0)
    measured = curves[[*KEYS, "fnmr", "low", "high"]]
    table = beside(printed, measured, KEYS, "fnmr", comparable())
    counts = areas.reindex(columns=[*KEYS, "errors", "genuine"])
    table = table.merge(counts, on=KEYS, how="left")
    expected = table["published"] * table["benchmark"].map(GENUINE)
    return table.assign(published_errors=np.round(expected))


def curve_shapes(method: str = "eDifFIQA(L)", preset: str = "paper") -> pd.DataFrame:
    """FNMR(u)/FNMR(0) along the curves of one method.

    Columns: side ("published" or "measured"), recogniser, benchmark, discard (u), ratio. Published ones are
    readings at every 5 % up to 55 % of eDifFIQA(L)'s curves. Only recognisers and benchmarks that both sides
    have; no row if there are none.
    """
    printed = pick(load_published("digitised_edc_curves"), method=method)
    printed = printed.rename(columns={"discard_limit": "discard", "value": "ratio"}).assign(side="published")
    measured = pick(load_measured("evaluation/edc"), preset=preset, method=method)
    start = measured[measured["discard"] == 0].set_index(KEYS)["fnmr"]
    first = start.reindex(pd.MultiIndex.from_frame(measured[KEYS])).to_numpy()
    measured = measured.assign(ratio=measured["fnmr"].to_numpy() / np.where(first > 0, first, np.nan))
    measured = measured[measured["discard"] <= printed["discard"].max()].assign(side="measured")
    table = pd.concat([printed, measured], ignore_index=True)[["side", *KEYS, "discard", "ratio"]]
    return table[table.groupby(KEYS)["side"].transform("nunique") == 2].reset_index(drop=True)


def both_sides(table: pd.DataFrame) -> pd.DataFrame:
    """Rows with a published and a measured value, benchmarks in the papers' order."""
    order = list(dict.fromkeys(pick(load_published("digitised_edc"), quantity="FNMR(0)")["benchmark"]))
    shown = table.dropna(subset=["published", "measured"])
    return shown.sort_values("benchmark", key=lambda names: names.map(order.index), kind="stable")
