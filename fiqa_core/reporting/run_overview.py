"""What the report's first page, README's picture and the notebooks of areas say about a run, read once.

Everything is of the preset and limit MAIN. The printed side is eDifFIQA's mean over its benchmarks and
printed recognisers, the only table of a paper that has all methods of the three.
"""
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from fiqa_core.base import project
from fiqa_core.base.files import read_table
from fiqa_core.base.project import settings
from fiqa_core.reporting import findings
from fiqa_core.reporting.artefact_tables import method_runtime
from fiqa_core.reporting.beside import choose, load_measured, load_scores
from fiqa_core.reporting.figure_overview import (against_print, curves_figure, mean_curves, overview,
                                                 protocol_dots, quality_sheet, runtime_bars)
from fiqa_core.reporting.protocols import as_trained, both_protocols, on_flaws
from fiqa_core.reporting.published import as_measured, load_published, pick
from fiqa_core.reporting.ranking import ALL, MEAN, load_replicates, printed_areas, rank_correlations

MAIN = {"preset": "iso", "discard_limit": 0.3}
SEEDS = "networks/seeds.csv"


@dataclass(frozen=True)
class Run:
    """The tables of a run that overviews need, of MAIN's preset and limit unless said otherwise."""

    areas: pd.DataFrame         # pauc.csv, all presets and limits; `replicates` has a row for each of them
    replicates: np.ndarray
    means: pd.DataFrame         # means.csv of the recogniser "all"
    differences: pd.DataFrame

    @cached_property
    def ranks(self) -> pd.DataFrame:
        """Printed and measured order, see `ranking.rank_correlations`; baselines as trained by default."""
        return self.ranks_under(flaws=False)

    def ranks_under(self, flaws: bool) -> pd.DataFrame:
        """`ranks` with the baselines trained on flaws, or not."""
        kept = as_trained(self.areas, flaws)
        return rank_correlations(kept.reset_index(drop=True), self.replicates[kept.index], MAIN["preset"])

    @cached_property
    def protocols(self) -> pd.DataFrame:
        """See `protocols.both_protocols`; empty where the suite trains under one protocol."""
        return both_protocols(self.means, self.differences)

    @cached_property
    def beside(self) -> pd.DataFrame:
        """method, published, measured, low, high of each method that is printed and measured."""
        printed = pick(printed_areas(), paper="eDifFIQA", recogniser=ALL, benchmark=MEAN)
        measured = self.means.rename(columns={"pauc": "measured"})[["method", "measured", "low", "high"]]
        printed = printed.rename(columns={"value": "published"})[["method", "published"]]
        table = printed.merge(measured, on="method")
        return table.dropna(subset=["measured"]).reset_index(drop=True)

    @cached_property
    def seeds(self) -> pd.DataFrame:
        """method, seed, pauc: distilled methods trained anew with other seeds, once, for the suite demo.

        Shipped with the faces' protocols; empty where the file is not there or another suite is measured.
        """
        path = project.data() / SEEDS
        if settings("suite") != "demo" or not path.is_file():
            return pd.DataFrame(columns=["method", "seed", "pauc"])
        return read_table(path, ("method",))

    def agreement(self) -> str:
        """Spearman of `beside` with its interval, in a few words; "" where there is none."""
        row = pick(self.ranks, paper="eDifFIQA", recogniser=ALL, benchmark=MEAN)
        if row.empty:
            return ""
        row = row.iloc[0]
        return (f"Spearman {row['spearman']:+.2f} [{row['low']:+.2f}, {row['high']:+.2f}], "
                f"{row['methods']} methods")

    def curves(self) -> pd.DataFrame:
        """See `figure_overview.mean_curves`."""
        table = pick(load_measured("evaluation/edc"), preset=MAIN["preset"])
        return mean_curves(table[~on_flaws(table)], MAIN["discard_limit"])

    def sentences(self) -> dict[str, str]:
        """Question -> what the run says to it, see `findings`; without those it has nothing on."""
        printed = {"DifFIQA": as_measured(pick(load_published("diffiqa_average_pauc"), discard_limit=0.3)),
                   "eDifFIQA": self.beside.rename(columns={"published": "value"})}
        found = {
            "Do the papers' methods work?": findings.against_random(self.means),
            "How far ahead of the others?": findings.against_others(self.means, self.differences),
            "Is the printed order found again?": findings.order_found(self.ranks),
            "What does a rank depend on?": " ".join(filter(None, (findings.protocols_differ(self.protocols),
                                                                  findings.seeds_spread(self.seeds)))),
            "What cannot be tested here?": " ".join(
                findings.leaders(table, self.differences, paper) for paper, table in printed.items())}
        if len(self.protocols):
            flaws = pick(self.ranks_under(flaws=True), paper="eDifFIQA", recogniser=ALL, benchmark=MEAN)
            found["Is the printed order found again?"] += "".join(
                f" With what learns trained on flaws eDifFIQA's correlation is {row.spearman:+.2f} "
                f"[{row.low:+.2f}, {row.high:+.2f}]." for row in flaws.itertuples())
        return {heading: text for heading, text in found.items() if text}

    def figures(self) -> dict:
        """Name -> figure of the first page; those that the suite has the numbers for."""
        label = self.agreement() or "only the order can be compared"
        made = {"curves": curves_figure(self.curves(), MAIN["discard_limit"]),
                "print": against_print(self.beside, label)}
        if list((project.results() / "scores").glob("*.csv")):
            scores = load_scores()
            made["faces"] = quality_sheet(scores, choose("benchmark", scores["benchmark"]))
        if (project.results() / "runtime" / "methods.csv").is_file():
            made["runtime"] = runtime_bars(as_trained(method_runtime(), flaws=False))
        if len(self.protocols):
            made["protocols"] = protocol_dots(self.protocols)
        return made

    def picture(self) -> bytes:
        """README's picture as a PNG."""
        label = f"Mean pAUC. {self.agreement()}"
        return overview(self.curves(), self.beside, MAIN["discard_limit"], label).drawn(130)


def load_run() -> Run:
    """The active suite's run. Raises FiqaError where it is not evaluated."""
    areas, replicates = load_replicates()
    means = pick(load_measured("evaluation/means"), recogniser=ALL, **MAIN)
    return Run(areas, replicates, means, pick(load_measured("evaluation/differences"), **MAIN))


def spearman_cells(ranks: pd.DataFrame) -> pd.DataFrame:
    """Ranks to read, as "+0.61 [+0.40, +0.80]": a row per paper and recogniser, a column per benchmark."""
    said = [f"{row.spearman:+.2f} [{row.low:+.2f}, {row.high:+.2f}]" for row in ranks.itertuples()]
    names = ranks["paper"] + ", " + ranks["recogniser"].replace(ALL, "mean of recognisers")
    table = ranks.assign(cell=said, row=names + " at " + ranks["discard_limit"].map("{:g}".format))
    columns = sorted(set(table["benchmark"]), key=lambda name: (name == MEAN, name.lower()))
    wide = table.pivot(index="row", columns="benchmark", values="cell")
    return wide.reindex(index=list(dict.fromkeys(table["row"])), columns=columns).fillna("").rename_axis(
        index="printed order of", columns=None)
