"""Tabs Discard and Set: which comparisons leave first, what that does to errors and thresholds; which faces a
range of one method's scores holds, what spoils them, and where another method puts them."""
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.evaluation.discard import UNSCORED, pair_ranks, ranks
from fiqa_core.evaluation.edc import ErrorDiscardCurve
from fiqa_core.explore.kit import Kit, Scorer
from fiqa_core.explore.reference import Reference
from fiqa_core.explore.state import PRESETS, State
from fiqa_core.rendering.nuisance import CAUSES

NEXT = 6                    # pairs that are shown
DISTURBED = 0.25            # of the unit in CAUSES: from here on a cause counts as one
WAIT = "the scores of {} for the faces to compare with are still being computed"


@dataclass(frozen=True)
class Pair:
    """A genuine comparison that leaves: rows of its two images, similarity, whether it is an error."""

    a: int
    b: int
    similarity: float
    error: bool


@dataclass(frozen=True)
class Discarding:
    """An EDC with its state at one discard.

    curves      preset -> curve; one that the pairs cannot show is left out, `problems` says why
    gone        genuine pairs that have left, `errors` of them below the threshold, of `genuine` and `wrong`
    pairs       the next to leave
    """

    curves: dict[str, ErrorDiscardCurve]
    problems: list[str]
    at: float
    genuine: int
    wrong: int
    gone: int
    errors: int
    pairs: list[Pair]

    def now(self, preset: str) -> tuple[float, float]:
        """FNMR and threshold of a preset at the discard."""
        curve = self.curves[preset]
        place = max(int(np.searchsorted(curve.discard, self.at + 1e-9, side="right")) - 1, 0)
        return float(curve.fnmr[place]), float(curve.thresholds[place])


def discarding(state: State, kit: Kit, faces: Reference) -> Discarding:
    """The EDC of `state.method` by the chosen recogniser at `state.discard`.

    Pairs of equal quality leave in the order of their rows, since a learner looks at single ones.
    Raises FiqaError where scores or embeddings are not there (yet).
    """
    found, scores = faces.comparisons(kit, state.fmr), scores_of(state.method, kit, faces)
    if found is None:
        raise FiqaError("the faces to compare with have no embeddings", "choose a recogniser, or wait")
    pairs = faces.pairs
    rank = pair_ranks(ranks(pairs.template_quality(scores)), pairs.a, pairs.b)
    curves, problems = {}, []
    for preset in PRESETS:
        try:
            curves[preset] = found.curve(rank, preset)
        except FiqaError as error:
            problems.append(f"Preset {preset}: {error.problem}.")
    mated = found.mated[rank[found.mated] != UNSCORED]
    order = mated[np.argsort(rank[mated], kind="stable")]
    wrong = found.similarity[order] < (curves["iso"] if "iso" in curves else curves["paper"]).threshold \
        if curves else np.zeros(len(order), bool)
    gone = int(state.discard * len(order) + 1e-9)
    first = first_images(pairs.template)
    shown = [Pair(first[pairs.a[row]], first[pairs.b[row]], float(found.similarity[row]), bool(error))
             for row, error in zip(order[gone:gone + NEXT], wrong[gone:gone + NEXT])]
    return Discarding(curves, problems, state.discard, len(order), int(wrong.sum()), gone,
                      int(wrong[:gone].sum()), shown)


def scores_of(slug: str, kit: Kit, faces: Reference) -> np.ndarray:
    """Scores (N,) of the faces to compare with. Raises FiqaError where they are not there (yet)."""
    scorer = scorer_of(slug, kit)
    if scorer.digest not in faces.scores:
        raise FiqaError(WAIT.format(scorer.name), "wait")
    return faces.scores[scorer.digest]


def scorer_of(slug: str, kit: Kit) -> Scorer:
    """The method of a slug. Raises FiqaError with what to do where it is not here."""
    if slug not in kit.scorers:
        raise FiqaError(f"{slug} has no networks here", "choose another method, or run `make repro`")
    return kit.scorers[slug]


def first_images(template: np.ndarray) -> dict[int, int]:
    """Template -> row of its first image."""
    codes, rows = np.unique(template, return_index=True)
    return dict(zip(codes.tolist(), rows.tolist()))


@dataclass(frozen=True)
class Brushed:
    """Faces whose percentile of one method lies within the brush.

    rows      their rows, worst first
    causes    cause -> share of them that have it, and of all faces; {} where true causes are not known
    x, y      percentiles (N,) of all faces by both methods; chosen (N,) bool
    """

    rows: np.ndarray
    causes: dict[str, tuple[float, float]]
    x: np.ndarray
    y: np.ndarray
    chosen: np.ndarray


def brushed(state: State, kit: Kit, faces: Reference) -> Brushed:
    """What the brush of a state holds. Raises FiqaError where scores are not there (yet)."""
    scores, others = (pd.Series(scores_of(slug, kit, faces)) for slug in (state.method, state.other))
    x, y = (100 * (series.rank() - 0.5).to_numpy() / max(int(series.notna().sum()), 1)
            for series in (scores, others))
    low, high = state.brush
    chosen = (x >= low) & (x <= high)
    rows = np.flatnonzero(chosen)
    return Brushed(rows[np.argsort(x[rows], kind="stable")], cause_shares(faces.faces.images, chosen), x, y,
                   chosen)


def cause_shares(images: pd.DataFrame, chosen: np.ndarray) -> dict[str, tuple[float, float]]:
    """Cause -> share of the chosen faces, and of all, that it disturbs; those of the chosen first."""
    shares = {}
    for name, (harmless, _, _, unit) in CAUSES.items():
        if name not in images or not chosen.any():
            continue
        values = images[name].to_numpy(float)
        distance = np.log2(values / harmless) if name in ("light_level", "resolution") else values - harmless
        struck = np.abs(distance) > DISTURBED * unit
        shares[name] = float(struck[chosen].mean()), float(struck.mean())
    return dict(sorted(shares.items(), key=lambda item: item[1][0] - item[1][1], reverse=True))
