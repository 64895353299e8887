"""Challenge: clips, whose frames quality may choose, or weight when a clip becomes one vector (notebook 42).

This answers another question than discarding (EDC): nobody is turned away, every comparison is made, and
quality decides what each comparison rests on. Frames belong to clips (media) and clips to templates, as
integer codes.
"""
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fiqa_core.base.device import default_device
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.base.project import settings
from fiqa_core.challenges.chosen_faces import (available_methods, chosen_recognisers, embed_anew,
                                               saved_scores, score_anew, with_settings)
from fiqa_core.evaluation.bootstrap import ResampledPairs, percentile_interval
from fiqa_core.evaluation.comparisons import BenchmarkPairs, benchmark_pairs, media_groups
from fiqa_core.evaluation.thresholds import threshold_at_fmr
from fiqa_core.pipeline.embed import load_embeddings
from fiqa_core.pipeline.outputs import load_benchmarks
from fiqa_core.rendering.face_sets import load_protocol, rendered_benchmark
from fiqa_core.reporting.beside import load_scores

ALL, RANDOM_ONE, RANDOM_HALF = "all frames, plain mean", "one random frame", "random half, mean"
BEST, WORST, HALF, WEIGHTED = "best frame", "worst frame", "better half, mean", "all frames, weighted mean"
STRATEGIES = (ALL, RANDOM_ONE, RANDOM_HALF, BEST, WORST, HALF, WEIGHTED)
BASELINE = {BEST: RANDOM_ONE, WORST: RANDOM_ONE, HALF: RANDOM_HALF, WEIGHTED: ALL}
OWN = ["method", "strategy", "fnmr", "low", "high", "against", "difference", "difference_low",
       "difference_high"]
COLUMNS = ["benchmark", "recogniser", *OWN, "genuine", "impostor", "frames_per_clip"]
TRUTH = "true severity"


@dataclass(frozen=True)
class Plan:
    """How `compare_strategies` measures; draws: of random frames, focus: of `focus_weights`."""

    fmr: float = 1e-3
    resamples: int = 1000
    draws: int = 10
    focus: float = 1.0
    seed: int = 0


def clip_codes(pairs: BenchmarkPairs) -> np.ndarray:
    """Clip of every image (N,) in 0..C-1: a medium within a template."""
    return media_groups(pairs.template, pairs.media)[1]


def best_frames(quality: np.ndarray, clip: np.ndarray, share: float = 0.0) -> np.ndarray:
    """Mark (N,) bool the frames of highest `quality` (N,) of every clip: ceil(share * frames), at least one.

    Of equal frames the earlier wins. Raises FiqaError for NaN (a frame without a score) and for another
    share.

    >>> best_frames(np.array([.2, .9, .5, .1]), np.array([0, 0, 0, 1])).tolist()
    [False, True, False, True]
    """
    if np.isnan(quality).any():
        raise FiqaError(f"{np.isnan(quality).sum()} frames have no score", "score every frame of the clips")
    if not 0 <= share <= 1:
        raise FiqaError(f"share of frames is {share}", "give a number from 0 (one frame) to 1 (all)")
    order = np.lexsort((np.arange(len(clip)), -quality, clip))
    size = np.bincount(clip)
    place = np.arange(len(clip)) - np.repeat(np.cumsum(size) - size, size)
    wanted = np.maximum(np.ceil(share * size - 1e-9), 1)
    chosen = np.empty(len(clip), dtype=bool)
    chosen[order] = place < np.repeat(wanted, size)
    return chosen


def focus_weights(quality: np.ndarray, focus: float) -> np.ndarray:
    """Positive weights (N,): exp(focus * z) of the standardised quality (N,), whatever the method's scale.

    Methods put their scores into [0.8, 0.9] or into [20, 40]: used as they are, the weights of the first
    would all be alike. focus 0 is the plain mean, a large one the best frame. -inf (failure to extract)
    weighs 0.
    """
    finite = np.isfinite(quality)
    spread = quality[finite].std() if finite.any() else 0.0
    if spread == 0:
        return finite.astype(np.float64)
    z = (np.where(finite, quality, 0) - quality[finite].mean()) / spread
    return np.where(finite, np.exp(focus * z), 0.0)


def compare_strategies(pairs: BenchmarkPairs, embeddings: dict[str, np.ndarray], scores: pd.DataFrame,
                       plan: Plan) -> pd.DataFrame:
    """FNMR of every strategy, with 95 % intervals over identities, and its difference to the fair baseline.

    embeddings  recogniser -> (N, D); scores: N rows, one column per method (a frame that failed: -inf)
    Every strategy is a system of its own with its own threshold at `plan.fmr`, found anew in each resample.
    A choice of one frame is compared with random frames, weights with the plain mean, on the same resamples.
    Returns COLUMNS; rows of random frames and of the plain mean have method "".
    """
    resampled = ResampledPairs(pairs.genuine, pairs.identity_a, pairs.identity_b, plan.resamples, plan.seed)
    parts = []
    for recogniser, vectors in embeddings.items():
        measured = {}
        for method, strategy, similarities in _systems(pairs, vectors, scores, plan):
            measured[method, strategy] = _measure_rates(similarities, resampled, plan.fmr)
        parts.append(_rows(measured).assign(recogniser=recogniser))
    table = pd.concat(parts, ignore_index=True)
    frames = len(pairs.images) / (clip_codes(pairs).max() + 1)
    return table.assign(benchmark=pairs.name, genuine=int(pairs.genuine.sum()),
                        impostor=int((~pairs.genuine).sum()), frames_per_clip=frames)[COLUMNS]


def _systems(pairs: BenchmarkPairs, vectors: np.ndarray, scores: pd.DataFrame, plan: Plan):
    """Yield (method, strategy, list of similarities): several for random choices, one otherwise."""
    clip, rng = clip_codes(pairs), np.random.default_rng([plan.seed, 1])
    chance = [np.where(pairs.failed, -np.inf, rng.random(len(clip))) for _ in range(plan.draws)]
    yield "", ALL, [pairs.similarity(vectors)]
    yield "", RANDOM_ONE, [pairs.similarity(vectors, keep=best_frames(c, clip)) for c in chance]
    several = np.bincount(clip).max() > 2              # of two frames, the better half is the best frame
    if several:
        yield "", RANDOM_HALF, [pairs.similarity(vectors, keep=best_frames(c, clip, 0.5)) for c in chance]
    for method in scores:
        quality = np.where(pairs.failed, -np.inf, scores[method].to_numpy(dtype=np.float64))
        reverse = np.where(pairs.failed, -np.inf, -quality)
        weight = focus_weights(quality, plan.focus)
        yield method, BEST, [pairs.similarity(vectors, keep=best_frames(quality, clip))]
        yield method, WORST, [pairs.similarity(vectors, keep=best_frames(reverse, clip))]
        if several:
            yield method, HALF, [pairs.similarity(vectors, keep=best_frames(quality, clip, 0.5))]
        yield method, WEIGHTED, [pairs.similarity(vectors, weight=weight)]


def _measure_rates(similarities: list, resampled: ResampledPairs, fmr: float) -> tuple[float, np.ndarray]:
    """FNMR and its replicates (R,), both as means over `similarities` (draws of one random system)."""
    genuine = resampled.genuine
    points = [np.mean(s[genuine] < threshold_at_fmr(s[~genuine], fmr)) for s in similarities]
    replicates = [resampled.fnmr(s, resampled.thresholds(s, fmr)) for s in similarities]
    return float(np.mean(points)), np.mean(replicates, axis=0)


def _rows(measured: dict) -> pd.DataFrame:
    """One row per system with the interval of its FNMR and of its difference to its baseline."""
    rows = []
    for (method, strategy), (value, replicates) in measured.items():
        row = [method, strategy, value, *percentile_interval(replicates)]
        if against := BASELINE.get(strategy):
            base, base_replicates = measured["", against]
            row += [against, value - base, *percentile_interval(replicates - base_replicates)]
        rows.append(dict(zip(OWN, row)))
    return pd.DataFrame(rows, columns=OWN)


def measure_video() -> tuple[pd.DataFrame, tuple[FaceSet, pd.DataFrame] | None]:
    """FNMR of every way to use the frames of clips; settings in `challenges.video`.

    Measured on the prepared benchmarks that hold clips and, in a rendered suite, on longer clips rendered for
    this purpose. Returns the table of `compare_strategies`, and the faces and scores of the set with the
    longest clips (None where no benchmark holds clips).
    """
    return with_settings(_measure, "challenges.video")


def _measure(benchmarks: list, longer: dict, recognisers: list, methods: list, draws: int, focus: float):
    plan = Plan(settings("evaluation.fmr"), settings("evaluation.resamples"), draws, focus, settings("seed"))
    slugs, chosen = available_methods(methods), chosen_recognisers(recognisers)
    sets = [_prepared(faces, slugs, chosen)
            for name, faces in load_benchmarks().items() if name in benchmarks]
    if settings("faces.source") == "rendered" and longer["frames"]:
        sets.append(_rendered(slugs, chosen, **longer))
    sets = [(faces, pairs, vectors, scores) for faces, pairs, vectors, scores in sets if holds_clips(pairs)]
    tables = [compare_strategies(pairs, vectors, scores, plan) for _, pairs, vectors, scores in sets]
    if not sets:
        return pd.DataFrame(columns=COLUMNS), None
    longest = max(sets, key=lambda part: len(part[1].images) / (clip_codes(part[1]).max() + 1))
    return pd.concat(tables, ignore_index=True), (longest[0], longest[3])


def holds_clips(pairs: BenchmarkPairs) -> bool:
    """Whether some medium has several frames, so that there is something to choose."""
    return int(clip_codes(pairs).max()) + 1 < len(pairs.images)


def longer_clips(protocol: dict, frames: int, drift: float, impostor: int) -> dict:
    """A protocol of clips of `frames` frames, named "<name>-<frames>"; movement per frame times `drift`.

    impostor  number of impostor pairs (before the scale): every system needs a threshold of its own
    Raises FiqaError if the protocol has no clips.
    """
    moving = {name for name, group in protocol["groups"].items() if "drift" in group}
    clips = [template for template in protocol.get("templates", ()) if set(template) <= moving]
    if not clips:
        raise FiqaError(f"protocol {protocol['name']} has no clips",
                        "name one with templates of drifting groups")
    groups = {name: group | {"drift": {cause: drift * speed for cause, speed in group["drift"].items()}}
              for name, group in protocol["groups"].items() if name in moving}
    return protocol | {"name": f"{protocol['name']}-{frames}", "groups": groups,
                       "pairs": protocol["pairs"] | {"impostor": impostor},
                       "templates": [[template[0]] * frames for template in clips]}


def _rendered(slugs: dict, recognisers: dict, protocol: str, frames: int, drift: float, impostor: int,
              scale: float):
    clips = longer_clips(load_protocol(protocol), frames, drift, impostor)
    faces = rendered_benchmark(clips, settings("seed"), default_device(), scale=scale)
    vectors = {name: embed_anew(slug, faces) for slug, name in recognisers.items()}
    return faces, benchmark_pairs(faces), vectors, _with_truth(faces, score_anew(slugs, faces))


def _prepared(faces: FaceSet, slugs: dict, recognisers: dict):
    vectors = {name: load_embeddings(slug, faces.name) for slug, name in recognisers.items()}
    scores = saved_scores(faces, load_scores(failed=True), list(slugs.values()))
    return faces, benchmark_pairs(faces), vectors, _with_truth(faces, scores.dropna(axis=1))


def _with_truth(faces: FaceSet, scores: pd.DataFrame) -> pd.DataFrame:
    """Scores and, where known, the true severity as one more method: what a perfect one could choose."""
    known = "severity" in faces.images
    return scores.assign(**{TRUTH: -faces.images["severity"].to_numpy()}) if known else scores


def one_clip(faces: FaceSet, scores: pd.DataFrame, clip: int = -1) -> tuple[list[np.ndarray], pd.DataFrame]:
    """Frames (H, W, 3) uint8 of one clip and their scores, for a figure.

    clip  its number; -1: the one over which the last method's score (true severity, if known) varies most
    Raises FiqaError for a number that no clip has.
    """
    code = clip_codes(benchmark_pairs(faces))
    if clip > code.max():
        raise FiqaError(f"clip is {clip}", f"give a number from 0 to {code.max()}, or -1")
    last = scores[scores.columns[-1]]
    clip = int(last.groupby(code).agg(np.ptp).idxmax()) if clip < 0 else clip
    rows = np.flatnonzero(code == clip)
    return [np.asarray(faces.pixels[row]) for row in rows], scores.iloc[rows].reset_index(drop=True)
