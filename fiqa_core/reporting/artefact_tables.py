"""One table per artefact of the papers: which printed rows meet which measured ones, and in which unit."""
import numpy as np
import pandas as pd

from fiqa_core.evaluation.ranks import kendall, spearman
from fiqa_core.reporting.beside import beside, comparable, load_measured
from fiqa_core.reporting.names import order_methods
from fiqa_core.reporting.published import SIGNS, as_measured, load_published, pick

PAUC_COLUMNS = ("benchmark", "recogniser", "method", "preset", "discard_limit", "pauc", "low", "high",
                "fnmr0")
RUNTIME_COLUMNS = ("method", "images", "median_ms", "mean_ms", "sd_ms", "device", "processor", "torch")
# what the tables here call the papers' quantities, and the columns of results/runtime
PRINTED_TIME = {"run time mean": "published", "run time sd": "published_sd",
                "parameters": "parameters_published"}
MEASURED_TIME = {"median_ms": "measured", "mean_ms": "measured_mean", "sd_ms": "measured_sd",
                 "parameters": "parameters_measured"}


def faceqan_runtime() -> pd.DataFrame:
    """FaceQAN's run time over its repeats (FaceQAN, Table III), milliseconds per image.

    Columns: repeats, published, published_sd, measured (median), measured_mean, measured_sd,
    published_relative, measured_relative (to the largest k <= 10 both have), then what it was measured on.
    """
    table = load_published("faceqan_runtime")
    table = table.assign(repeats=table["setting"].str.removeprefix("k=").astype(int),
                         value=1000 * table["value"])
    printed = table.pivot(index="repeats", columns="quantity", values="value").rename(columns=PRINTED_TIME)
    measured = load_measured("runtime/faceqan", ("repeats", *RUNTIME_COLUMNS)).drop(columns="method")
    joined = printed.reset_index().merge(measured.rename(columns=MEASURED_TIME), on="repeats", how="outer")
    joined = joined.sort_values("repeats", ignore_index=True)
    both = joined[joined["published"].notna() & joined["measured"].notna() & (joined["repeats"] <= 10)]
    for side in ("published", "measured"):
        joined[f"{side}_relative"] = joined[side] / (both[side].iloc[-1] if len(both) else np.nan)
    return joined


def cost_per_repeat(table: pd.DataFrame, side: str) -> tuple[float, float]:
    """Least-squares line time = fixed + k * each through `side` of `faceqan_runtime`: (fixed, each) in ms."""
    shown = table.dropna(subset=[side])
    each, fixed = np.polyfit(shown["repeats"], shown[side], 1) if len(shown) > 1 else (np.nan, np.nan)
    return float(fixed), float(each)


def method_runtime() -> pd.DataFrame:
    """Run time (ms per image) and parameters (millions) of every method, published and measured.

    Published DifFIQA counts its UNet and its recogniser. Columns: method, published, published_sd, measured
    (median of single images), measured_mean, measured_sd, parameters_published, parameters_measured,
    published_froq (FROQ's table, on its own machine), and what the measurement was made on.
    """
    table = load_published("runtime_and_parameters")
    table = table[table["source"].str.startswith("eDifFIQA")]
    printed = table.pivot_table(index="method", columns="quantity", values="value",
                                aggfunc="sum").reset_index()
    printed = printed.rename(columns=PRINTED_TIME)
    faceqan = pick(load_published("faceqan_runtime"), setting="k=10").set_index("quantity")["value"] * 1000
    own = ["FaceQAN", *faceqan[["run time mean", "run time sd"]]]
    printed.loc[len(printed), ["method", "published", "published_sd"]] = own
    measured = load_measured("runtime/methods", ("parameters", *RUNTIME_COLUMNS))
    measured = measured.rename(columns=MEASURED_TIME)
    joined = printed.merge(measured, on="method", how="outer").set_index("method")
    froq = pick(load_published("froq_runtime"), quantity="run time mean").set_index("method")["value"]
    return joined.assign(published_froq=froq).loc[order_methods(joined.index)].reset_index()


def speed_up(table: pd.DataFrame, slow: str = "DifFIQA", fast: str = "DifFIQA(R)") -> pd.DataFrame:
    """How many times faster `fast` is than `slow`, one row per side of `method_runtime`."""
    times = table.set_index("method").reindex([slow, fast])[["published", "measured"]]
    wide = times.T.set_axis([f"{slow} (ms)", f"{fast} (ms)"], axis=1).rename_axis("side").reset_index()
    return wide.assign(**{"speed-up": wide[f"{slow} (ms)"] / wide[f"{fast} (ms)"]})


def mean_pauc() -> pd.DataFrame:
    """Average pAUC over benchmarks and recognisers: DifFIQA's figure beside `means`, each preset and limit.

    Columns: discard_limit, preset, method, published, measured, low, high, difference, verdict. The averages
    run over different recognisers and faces, so they are never subtracted.
    """
    printed = as_measured(load_published("diffiqa_average_pauc"))
    columns = ("recogniser", "method", "preset", "discard_limit", "pauc")
    means = pick(load_measured("evaluation/means", columns), recogniser="all")
    parts = {(limit, preset): beside(pick(printed, discard_limit=limit), rows, ["method"], "pauc", False)
             for (preset, limit), rows in means.groupby(["preset", "discard_limit"])}
    return pd.concat(parts, names=["discard_limit", "preset"]).reset_index([0, 1]).reset_index(drop=True)


def benchmark_pauc(limit: float, preset: str) -> pd.DataFrame:
    """pAUC per recogniser, benchmark (and "mean") and method: eDifFIQA's tables beside the measurement.

    Columns: recogniser, benchmark, method, published, measured, low, high, difference, verdict. Rows of
    printed recognisers that the suite does not measure are left out, unless it measures none of them.
    """
    printed = as_measured(pick(load_published("ediffiqa_pauc"), discard_limit=limit))
    measured = pick(load_measured("evaluation/pauc", PAUC_COLUMNS), discard_limit=limit, preset=preset)
    means = pick(load_measured("evaluation/means"), discard_limit=limit, preset=preset)
    means = means[means["recogniser"] != "all"].assign(benchmark="mean")
    measured = pd.concat([measured, means], ignore_index=True)
    common = set(printed["recogniser"]) & set(measured["recogniser"])
    if common:
        printed = pick(printed, recogniser=sorted(common))
    return beside(printed, measured, ["recogniser", "benchmark", "method"], "pauc", comparable())


def digitised(limit: float = 0.3, preset: str = "paper") -> pd.DataFrame:
    """eDifFIQA(L)'s pAUC as read from the paper's curves, beside the measured one."""
    printed = pick(load_published("digitised_edc"), quantity="pAUC", discard_limit=limit)
    measured = pick(load_measured("evaluation/pauc", PAUC_COLUMNS), preset=preset, discard_limit=limit)
    measured = pick(measured, method="eDifFIQA(L)")
    return beside(printed, measured, ["recogniser", "benchmark"], "pauc", comparable())


def method_by_benchmark(table: pd.DataFrame, value: str) -> pd.DataFrame:
    """Methods down and benchmarks across, both in the papers' order (benchmarks by name, "mean" last)."""
    shown = table.dropna(subset=[value])
    columns = sorted(set(shown["benchmark"]), key=lambda name: (name == "mean", name.lower()))
    return shown.pivot_table(index="method", columns="benchmark", values=value).reindex(
        index=order_methods(shown["method"]), columns=columns
    )


def printed_signs(table: pd.DataFrame, wide: pd.DataFrame) -> pd.DataFrame:
    """The papers' marks as signs, in the form of `method_by_benchmark`'s `wide`; "" where there is none."""
    signs = table.assign(sign=table["mark"].map(SIGNS).fillna(""))
    return signs.pivot(index="method", columns="benchmark", values="sign").reindex_like(wide).fillna("")


def measured_signs(wide: pd.DataFrame) -> pd.DataFrame:
    """SER-FIQ's dagger on XQLFW for measured values, where the images are those it helped to choose."""
    signs = pd.DataFrame("", index=wide.index, columns=wide.columns)
    if comparable() and "SER-FIQ" in wide.index and "XQLFW" in wide.columns:
        signs.loc["SER-FIQ", "XQLFW"] = SIGNS["dagger"]
    return signs


def ablations(name: str, limit: float, preset: str, recogniser: str) -> pd.DataFrame:
    """Ablations of "faceqan" or "diffiqa" for one recogniser: benchmark, setting, value, low, high, fnmr0, in
    the pipeline's order (the full method first)."""
    table = load_measured(f"ablations/{name}",
        ("ablation", "benchmark", "recogniser", "preset", "discard_limit", "pauc", "low", "high", "fnmr0"))
    table = table[~table["ablation"].isin(("oracle", "random"))]
    table = pick(table, preset=preset, discard_limit=limit, recogniser=recogniser)
    table = table.sort_values("ablation", key=lambda names: names != "full", kind="stable")
    table = table.rename(columns={"ablation": "setting", "pauc": "value"})
    return table[["benchmark", "setting", "value", "low", "high", "fnmr0"]].reset_index(drop=True)


def wide_scores(scores: pd.DataFrame, benchmark: str | None = None) -> pd.DataFrame:
    """Long scores as one column per method; index image_id for one `benchmark`, else two key columns."""
    keys = ["benchmark", "image_id"]
    shown = scores if benchmark is None else pick(scores, benchmark=benchmark)
    wide = shown.pivot(index=keys, columns="method", values="score")[order_methods(shown["method"])]
    wide.columns.name = None
    return wide.reset_index() if benchmark is None else wide.droplevel("benchmark")


def example_scores(name: str) -> pd.DataFrame:
    """The scores a paper prints under its example images: index image number, one column per method."""
    table = load_published(name)
    table = table.assign(image=table["setting"].str.removeprefix("image ").astype(int))
    wide = table.pivot(index="image", columns="method", values="value")
    return wide[order_methods(wide.columns)].rename_axis(columns=None)


def teacher_and_student(wide: pd.DataFrame, teacher: str, student: str) -> pd.DataFrame:
    """Per benchmark: images, spearman, kendall of the two methods' scores, and mean and sd of each.

    wide  benchmark, image_id and one column per method, without NaN
    """
    rows = [(name, len(part), spearman(part[teacher], part[student]), kendall(part[teacher], part[student]),
             part[teacher].mean(), part[teacher].std(), part[student].mean(), part[student].std()) for name,
            part in wide.groupby("benchmark", sort=False)]
    return pd.DataFrame(rows, columns=["benchmark", "images", "spearman", "kendall", "teacher_mean",
                                       "teacher_sd", "student_mean", "student_sd"])
