"""Challenge: clips, whose frames quality may choose and weight (notebook 42)."""
import numpy as np
import pandas as pd

from fiqa_core.benchmarks import FaceSet
from fiqa_core.device import default_device
from fiqa_core.errors import FiqaError
from fiqa_core.evaluation.fusion import COLUMNS, Plan, clip_codes, compare_strategies
from fiqa_core.evaluation.pairs import BenchmarkPairs, benchmark_pairs
from fiqa_core.pipeline.challenge_faces import (
    available_methods,
    chosen_recognisers,
    embed_anew,
    saved_scores,
    score_anew,
    with_settings,
)
from fiqa_core.pipeline.embed import load_embeddings
from fiqa_core.pipeline.prepare import load_benchmarks
from fiqa_core.pipeline.score import load_scores
from fiqa_core.pipeline.settings import settings

TRUTH = "true severity"


def measure_video() -> tuple[pd.DataFrame, tuple[FaceSet, pd.DataFrame] | None]:
    """FNMR of every way to use the frames of clips; settings in `challenges.video`.

    Measured on the prepared benchmarks that hold clips and, in a rendered suite, on longer clips rendered for
    this purpose. Returns the table of `fusion.compare_strategies`, and the faces and scores of the set with
    the longest clips (None where no benchmark holds clips).
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
    """A protocol of clips with `frames` frames each, named "<name>-<frames>"; movement per frame times
    `drift`.

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
    from fiqa_core.rendering.benchmarks import rendered_benchmark
    from fiqa_core.rendering.protocol import load_protocol
    clips = longer_clips(load_protocol(protocol), frames, drift, impostor)
    faces = rendered_benchmark(clips, settings("seed"), default_device(), scale=scale)
    vectors = {name: embed_anew(slug, faces) for slug, name in recognisers.items()}
    return faces, benchmark_pairs(faces), vectors, _with_truth(faces, score_anew(slugs, faces))


def _prepared(faces: FaceSet, slugs: dict, recognisers: dict):
    vectors = {name: load_embeddings(slug, faces.name) for slug, name in recognisers.items()}
    scores = saved_scores(faces, load_scores(), list(slugs.values()))
    return faces, benchmark_pairs(faces), vectors, _with_truth(faces, scores.dropna(axis=1))


def _with_truth(faces: FaceSet, scores: pd.DataFrame) -> pd.DataFrame:
    """Scores with the true severity as one more method, where it is known: what a perfect method could
    choose."""
    known = "severity" in faces.images
    return scores.assign(**{TRUTH: -faces.images["severity"].to_numpy()}) if known else scores


def one_clip(faces: FaceSet, scores: pd.DataFrame, clip: int = -1) -> tuple[list[np.ndarray], pd.DataFrame]:
    """Frames (H, W, 3) uint8 of one clip and their scores, for a figure.

    clip  its number; -1 for the one over which the last method's score (the true severity, if known) varies
          most
    Raises FiqaError for a number that no clip has.
    """
    code = clip_codes(benchmark_pairs(faces))
    if clip > code.max():
        raise FiqaError(f"clip is {clip}", f"give a number from 0 to {code.max()}, or -1")
    last = scores[scores.columns[-1]]
    clip = int(last.groupby(code).agg(np.ptp).idxmax()) if clip < 0 else clip
    rows = np.flatnonzero(code == clip)
    return [np.asarray(faces.pixels[row]) for row in rows], scores.iloc[rows].reset_index(drop=True)
