"""One quality method, or one reference, on one benchmark: points, curves and their resampled replicates.

What depends on quality alone (ranks, levels, weights in discard order) is done once for all recognisers, what
depends on a recogniser alone (thresholds, errors) once for all methods.
"""
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from fiqa_core.base.errors import FiqaError
from fiqa_core.evaluation.bootstrap import (DiscardWeights, JointWeights, divided, grid_pauc, multiplicities,
                                            pair_weights, row_sums)
from fiqa_core.evaluation.comparisons import TEMPLATE_QUALITY, BenchmarkPairs
from fiqa_core.evaluation.discard import FAILED, LEVELS, UNSCORED, Levels
from fiqa_core.evaluation.edc import (Comparisons, ErrorDiscardCurve, oracle_curve, oracle_fnmr,
                                      oracle_pauc_raw)
from fiqa_core.evaluation.thresholds import ROUNDING

GRIDS = {"iso": np.arange(96) / 100, "paper": LEVELS}
JOINT_PAIRS = 60_000      # beyond this many pairs (IJB-C's millions) `paper` is reported without intervals


@dataclass(frozen=True)
class Settings:
    """What `evaluate` computes; the section `evaluation` of params.yaml.

    fmr              target false match rate
    presets          of "iso", "paper"
    discard_limits   limits of pAUC
    resamples        bootstrap resamples; 0 for no intervals
    draws            random orders behind the reference "random"
    template_quality "min" (default), "mean" or "max" over the images of a template
    seed             of resamples and draws; each benchmark derives its own from it
    """

    fmr: float = 1e-3
    presets: tuple[str, ...] = ("iso", "paper")
    discard_limits: tuple[float, ...] = (0.2, 0.3)
    resamples: int = 1000
    draws: int = 100
    template_quality: str = "min"
    seed: int = 0

    def __post_init__(self):
        if not self.presets or set(self.presets) - set(GRIDS):
            raise FiqaError(f"evaluation.presets is {self.presets}", f"choose from {', '.join(GRIDS)}")
        if self.template_quality not in TEMPLATE_QUALITY:
            raise FiqaError(f"evaluation.template_quality is {self.template_quality!r}",
                            f"choose one of {', '.join(TEMPLATE_QUALITY)}")


@dataclass(frozen=True)
class Measurement:
    """Results of one method under one preset on one benchmark, one entry per recogniser.

    curves    the curve whose counts and threshold are reported
    pauc, pauc_raw  per discard limit
    fnmr      (X,) on GRIDS[preset]; band (X, R or draws) replicates of it, None without resampling
    replicates  per discard limit (R,) replicates of pauc, None without resampling
    unscored  genuine pairs left out because an image of theirs has no score
    """

    curves: dict[str, ErrorDiscardCurve]
    pauc: dict[tuple[str, float], float]
    pauc_raw: dict[tuple[str, float], float]
    fnmr: dict[str, np.ndarray]
    band: dict[str, np.ndarray] = field(default_factory=dict)
    replicates: dict[tuple[str, float], np.ndarray] = field(default_factory=dict)
    unscored: int = 0


class Measure:
    """Measures on one benchmark: similarities (recogniser -> (P,)) and resampled weights, held once.

    Every measuring function returns a `Measurement` per preset; none where no genuine pair is scored.
    """

    def __init__(self, pairs: BenchmarkPairs, similarity: dict[str, np.ndarray], chosen: Settings, seed):
        self.pairs, self.chosen, self.seed = pairs, chosen, seed
        self.compared = {name: Comparisons(values, pairs.genuine, chosen.fmr)
                         for name, values in similarity.items()}
        self.mated = np.flatnonzero(pairs.genuine)
        self.joint = "paper" in chosen.presets and len(pairs.a) <= JOINT_PAIRS

    @cached_property
    def weights(self) -> np.ndarray:
        """Multiplicities (P, R) of the pairs, (G, R) of the genuine ones where no others are needed."""
        drawn = multiplicities(self.pairs.identities, self.chosen.resamples, self.seed)
        rows = slice(None) if self.joint else self.mated
        return pair_weights(drawn, self.pairs.identity_a[rows], self.pairs.identity_b[rows])

    @cached_property
    def mated_weights(self) -> np.ndarray:
        return self.weights[self.mated] if self.joint else self.weights

    def method(self, scores: np.ndarray) -> dict[str, Measurement]:
        """Measure a method by its image scores (N,): NaN for none, -inf for failure to extract.

        Unscored genuine pairs leave the comparison, and under `paper` unscored impostor pairs do too.
        """
        return self.ranked(self.pairs.ranks(scores, self.chosen.template_quality))

    def ranked(self, rank: np.ndarray) -> dict[str, Measurement]:
        """Measure pairs that leave by `rank` (P,), with replicates where they are wanted."""
        found, compared = self.points(rank), self._compared(rank)
        if not self.chosen.resamples:
            return found
        for preset, result in found.items():
            known = {name: compared[name] for name, curve in result.curves.items() if not curve.gap}
            if known and preset == "iso":
                self._resample_iso(result, rank, known)
            elif known and self.joint:
                self._resample_paper(result, rank, known)
        return found

    def points(self, rank: np.ndarray) -> dict[str, Measurement]:
        """As `ranked`, without replicates."""
        unscored = int((rank[self.mated] == UNSCORED).sum())
        if unscored == len(self.mated) > 0:
            return {}
        levels = Levels(rank, self.pairs.genuine)
        compared = self._compared(rank)
        return {preset: self._summary({name: values.curve_or_gap(rank, preset, levels)
                                       for name, values in compared.items()}, unscored)
                for preset in self.chosen.presets}

    def _compared(self, rank: np.ndarray) -> dict[str, Comparisons]:
        """The recognisers' comparisons, with similarity -1 where an image failed to extract for the method."""
        failures = np.flatnonzero(rank == FAILED)
        if all((values.similarity[failures] == -1).all() for values in self.compared.values()):
            return self.compared
        return {name: Comparisons(np.where(rank == FAILED, -1.0, values.similarity), self.pairs.genuine,
                                  self.chosen.fmr) for name, values in self.compared.items()}

    def _summary(self, curves: dict[str, ErrorDiscardCurve], unscored: int) -> Measurement:
        keys = [(name, limit) for name in curves for limit in self.chosen.discard_limits]
        return Measurement(curves, {(name, limit): curves[name].pauc(limit) for name, limit in keys},
                           {(name, limit): curves[name].pauc_raw(limit) for name, limit in keys},
                           {name: curve.at(GRIDS[curve.preset]) for name, curve in curves.items()},
                           unscored=unscored)

    def _resample_iso(self, result: Measurement, rank: np.ndarray, known: dict[str, Comparisons]) -> None:
        discard = DiscardWeights(rank[self.mated], self.mated_weights)
        errors = np.stack([values.errors for values in known.values()])
        result.band.update(zip(known, discard.fnmr(errors, GRIDS["iso"])))
        for limit in self.chosen.discard_limits:
            areas = discard.pauc(errors, limit)
            result.replicates.update({(name, limit): area for name, area in zip(known, areas)})

    def _resample_paper(self, result: Measurement, rank: np.ndarray, known: dict[str, Comparisons]) -> None:
        joint = JointWeights(rank, self.pairs.genuine, self.weights)
        for name, values in known.items():
            curve = result.curves[name]
            band = joint.fnmr(values.clipped < curve.thresholds[:, None])
            result.band[name] = np.where(np.isnan(curve.fnmr)[:, None], np.nan, band)
            result.replicates.update({(name, limit): grid_pauc(result.band[name], limit)
                                      for limit in self.chosen.discard_limits})

    def oracle(self, scored: np.ndarray) -> dict[str, Measurement]:
        """A perfect ranking of the pairs `scored` (P,) bool; replicates follow from counts alone."""
        found = self.points(np.where(scored, FAILED + 1, UNSCORED))
        for preset, ties in found.items():
            curves = {name: oracle_curve(curve) for name, curve in ties.curves.items()}
            found[preset] = self._summary(curves, ties.unscored)
            if self.chosen.resamples and (preset == "iso" or self.joint):
                self._resample_oracle(found[preset], preset, scored)
        return found

    def _resample_oracle(self, result: Measurement, preset: str, scored: np.ndarray) -> None:
        weights = self.mated_weights[scored[self.mated]]
        genuine = weights.sum(axis=0)
        discarded = genuine if preset == "iso" else self.weights[scored].sum(axis=0)
        left = np.floor(GRIDS[preset][:, None] * discarded + ROUNDING)
        for name, curve in result.curves.items():
            if curve.gap:
                continue
            wrong = self.compared[name].similarity[self.mated] < curve.threshold
            errors = row_sums(wrong[None, scored[self.mated]], weights)[0]
            result.band[name] = oracle_fnmr(errors, genuine, left)
            for limit in self.chosen.discard_limits:
                result.replicates[name, limit] = (
                    divided(oracle_pauc_raw(errors, genuine, limit), limit * errors / genuine)
                    if preset == "iso" else grid_pauc(result.band[name], limit))

    def random(self, scored: np.ndarray) -> dict[str, Measurement]:
        """Mean over draws of random image scores. Its replicates are the draws: what chance alone reaches."""
        generator, draws = np.random.default_rng([*self.seed, 1]), []
        for _ in range(self.chosen.draws):
            rank = self.pairs.ranks(generator.random(len(self.pairs.images)), self.chosen.template_quality)
            draws.append(self.points(np.where(scored, rank, UNSCORED)))
        return {preset: mean_of([draw[preset] for draw in draws]) for preset in draws[0]}


def mean_of(draws: list[Measurement]) -> Measurement:
    """The mean of measurements of one kind, which are its replicates; curves are those of the first."""
    first = draws[0]
    areas = {key: np.array([draw.pauc[key] for draw in draws]) for key in first.pauc}
    band = {name: np.stack([draw.fnmr[name] for draw in draws], axis=-1) for name in first.fnmr}
    return Measurement(first.curves, {key: float(values.mean()) for key, values in areas.items()},
                       {key: float(np.mean([draw.pauc_raw[key] for draw in draws])) for key in areas},
                       {name: values.mean(axis=-1) for name, values in band.items()}, band, areas,
                       first.unscored)
