"""One quality method, or one reference, on one benchmark: points, curves and their resampled replicates.

The quality-dependent work (sorting, weights in discard order) is done once and shared by all recognisers.
"""
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from fiqa_core.base.errors import FiqaError
from fiqa_core.evaluation.bootstrap import (DiscardWeights, JointWeights, divided, grid_pauc, multiplicities,
                                            pair_weights, row_sums)
from fiqa_core.evaluation.comparisons import TEMPLATE_QUALITY, BenchmarkPairs
from fiqa_core.evaluation.edc import (LEVELS, ErrorDiscardCurve, checked, edc, mated_curve, oracle_curve,
                                      oracle_fnmr, oracle_pauc_raw)
from fiqa_core.evaluation.edc_large import JointDiscard, discard_levels
from fiqa_core.evaluation.thresholds import ROUNDING, match_rate, paper_index, threshold_at_fmr

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
    """

    curves: dict[str, ErrorDiscardCurve]
    pauc: dict[tuple[str, float], float]
    pauc_raw: dict[tuple[str, float], float]
    fnmr: dict[str, np.ndarray]
    band: dict[str, np.ndarray] = field(default_factory=dict)
    replicates: dict[tuple[str, float], np.ndarray] = field(default_factory=dict)
    unscored: int = 0


class Measure:
    """Measures on one benchmark: similarities (recogniser -> (P,)) and resampled weights, held once."""

    def __init__(self, pairs: BenchmarkPairs, similarity: dict[str, np.ndarray], chosen: Settings, seed):
        self.pairs, self.similarity, self.chosen, self.seed = pairs, similarity, chosen, seed
        self.weights = None
        if chosen.resamples:
            drawn = multiplicities(pairs.identities, chosen.resamples, seed)
            self.joint = "paper" in chosen.presets and len(pairs.a) <= JOINT_PAIRS
            wanted = np.arange(len(pairs.a)) if self.joint else np.flatnonzero(pairs.genuine)
            self.weights = pair_weights(drawn, pairs.identity_a[wanted], pairs.identity_b[wanted])

    def method(self, quality: np.ndarray, preset: str) -> Measurement | None:
        """`points` with replicates, where resampling is wanted."""
        result = self.points(quality, preset)
        if result is None or self.weights is None:
            return result
        if preset == "iso":
            self._resample_iso(result, quality)
        elif self.joint:
            self._resample_paper(result, quality)
        return result

    def points(self, quality: np.ndarray, preset: str) -> Measurement | None:
        """Measure the pair qualities (P,) of a method; NaN marks pairs with an unscored image.

        Unscored genuine pairs leave the comparison, and under `paper` unscored impostor pairs do too.
        None if nothing is left to measure: no scored genuine pair, or under `paper` too few impostors.
        """
        scored = ~np.isnan(quality)
        used = scored | ~self.pairs.genuine if preset == "iso" else scored
        if not self._enough(used & scored, used, preset):
            return None
        curves = self._curves(quality, used, preset) if self._known(quality) else {
            name: edc(values[used], self.pairs.genuine[used], quality[used], preset, self.chosen.fmr)
            for name, values in self.similarity.items()}
        return self._summary(curves, int((self.pairs.genuine & ~scored).sum()))

    def _known(self, quality: np.ndarray) -> bool:
        """Whether the similarities hold -1 already wherever an image failed to extract for this method."""
        failures = np.flatnonzero(quality == -np.inf)
        return all((values[failures] == -1).all() for values in self.similarity.values())

    def _curves(self, quality: np.ndarray, used: np.ndarray, preset: str) -> dict[str, ErrorDiscardCurve]:
        """As `edc`, with the work on the impostors done once for all methods."""
        mated = self.pairs.genuine & used
        if preset == "iso":
            return {name: mated_curve(values[mated], quality[mated], *self._cuts[name])
                    for name, values in self.similarity.items()}
        levels, failures = discard_levels(quality, used), int(np.sum(quality[mated] == -np.inf))
        return {name: joint.curve(levels, int(used.sum()), failures) for name, joint in self._joint.items()}

    @cached_property
    def _cuts(self) -> dict[str, tuple]:
        """Per recogniser, under `iso`: threshold, FMR asked for, FMR reached, number of impostors."""
        cuts = {}
        for name, values in self._checked.items():
            impostor = values[~self.pairs.genuine]
            threshold = threshold_at_fmr(impostor, self.chosen.fmr)
            cuts[name] = threshold, self.chosen.fmr, match_rate(impostor, threshold), len(impostor)
        return cuts

    @cached_property
    def _joint(self) -> dict[str, JointDiscard]:
        return {name: JointDiscard(values, self.pairs.genuine, self.chosen.fmr)
                for name, values in self._checked.items()}

    @cached_property
    def _checked(self) -> dict[str, np.ndarray]:
        """The similarities, once `edc`'s demands on them are known to be met."""
        for values in self.similarity.values():
            checked(values, self.pairs.genuine, np.broadcast_to(0.0, len(values)), "iso")
        return self.similarity

    def _enough(self, scored: np.ndarray, used: np.ndarray, preset: str) -> bool:
        """Whether a partly scored set can be measured; a complete one always is, and errors say why not."""
        genuine = self.pairs.genuine
        if used.all() and scored[genuine].all():
            return True
        impostors = int((used & ~genuine).sum())
        threshold = preset == "iso" or paper_index(impostors, self.chosen.fmr) is not None
        return threshold and bool((scored & genuine).any())

    def _summary(self, curves: dict, unscored: int) -> Measurement:
        keys = [(name, limit) for name in curves for limit in self.chosen.discard_limits]
        return Measurement(curves, {(name, limit): curves[name].pauc(limit) for name, limit in keys},
                           {(name, limit): curves[name].pauc_raw(limit) for name, limit in keys},
                           {name: curve.at(GRIDS[curve.preset]) for name, curve in curves.items()},
                           unscored=unscored)

    def _failures_apart(self, name: str, quality: np.ndarray) -> np.ndarray:
        """Similarities with -1 where an image failed to extract, as `edc` counts them."""
        return np.where(quality == -np.inf, -1.0, self.similarity[name])

    def _resample_iso(self, result: Measurement, quality: np.ndarray) -> None:
        mated = self.pairs.genuine & ~np.isnan(quality)
        discard = DiscardWeights(quality[mated], self._mated_weights(mated))
        errors = np.stack([self._failures_apart(name, quality)[mated] < curve.threshold
                           for name, curve in result.curves.items()])
        self._store(result, discard.fnmr(errors, GRIDS["iso"]),
                    {limit: discard.pauc(errors, limit) for limit in self.chosen.discard_limits})

    def _resample_paper(self, result: Measurement, quality: np.ndarray) -> None:
        used = ~np.isnan(quality)
        joint = JointWeights(quality[used], self.pairs.genuine[used], self.weights[used])
        bands = []
        for name, curve in result.curves.items():
            errors = self._failures_apart(name, quality)[used] < curve.thresholds[:, None]
            bands.append(np.where(np.isnan(curve.fnmr)[:, None], np.nan, joint.fnmr(errors)))
        self._store(result, bands, {limit: [grid_pauc(band, limit) for band in bands]
                                    for limit in self.chosen.discard_limits})

    def _mated_weights(self, mated: np.ndarray) -> np.ndarray:
        """Weights of the pairs `mated` (P,) bool, all of them genuine."""
        return self.weights[mated if len(self.weights) == len(mated) else mated[self.pairs.genuine]]

    @staticmethod
    def _store(result: Measurement, bands, areas: dict) -> None:
        for i, name in enumerate(result.curves):
            result.band[name] = bands[i]
            result.replicates.update({(name, limit): area[i] for limit, area in areas.items()})

    def oracle(self, scored: np.ndarray, preset: str) -> Measurement | None:
        """A perfect ranking of the pairs `scored` (P,) bool; replicates follow from counts alone."""
        ties = self.method(np.where(scored, 0.0, np.nan), preset)
        if ties is None:
            return None
        curves = {name: oracle_curve(curve) for name, curve in ties.curves.items()}
        result = self._summary(curves, ties.unscored)
        if not ties.band:
            return result
        mated = self.pairs.genuine & scored
        weights = self._mated_weights(mated)
        genuine = weights.sum(axis=0)
        discarded = genuine if preset == "iso" else self.weights[scored].sum(axis=0)
        left = np.floor(GRIDS[preset][:, None] * discarded + ROUNDING)
        for name, curve in result.curves.items():
            errors = row_sums(self.similarity[name][None, mated] < curve.threshold, weights)[0]
            result.band[name] = oracle_fnmr(errors, genuine, left)
            for limit in self.chosen.discard_limits:
                result.replicates[name, limit] = (
                    divided(oracle_pauc_raw(errors, genuine, limit), limit * errors / genuine)
                    if preset == "iso" else grid_pauc(result.band[name], limit))
        return result

    def random(self, scored: np.ndarray, preset: str) -> Measurement | None:
        """Mean over draws of random image scores. Its replicates are the draws: what chance alone reaches."""
        generator = np.random.default_rng([*self.seed, 1])
        draws = []
        for _ in range(self.chosen.draws):
            scores = generator.random(len(self.pairs.images))
            quality = self.pairs.quality(scores, self.chosen.template_quality)
            draws.append(self.points(np.where(scored, quality, np.nan), preset))
        if draws[0] is None:
            return None
        first = draws[0]
        collect = {key: np.array([draw.pauc[key] for draw in draws]) for key in first.pauc}
        raw = {key: float(np.mean([draw.pauc_raw[key] for draw in draws])) for key in first.pauc}
        band = {name: np.stack([draw.fnmr[name] for draw in draws], axis=-1) for name in first.curves}
        return Measurement(first.curves, {key: float(values.mean()) for key, values in collect.items()}, raw,
                           {name: values.mean(axis=-1) for name, values in band.items()}, band, collect,
                           first.unscored)
