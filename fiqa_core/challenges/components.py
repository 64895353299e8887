"""Challenge: a vector of component measures beside the scalar score (notebook 43)."""
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fiqa_core.base import project
from fiqa_core.base.device import default_device
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.base.images import to_batch
from fiqa_core.base.project import settings
from fiqa_core.challenges.chosen_faces import chosen_recognisers, pair_subset, saved_scores, with_settings
from fiqa_core.challenges.component_measures import COMPONENTS, OCCLUSION, FaceSpace
from fiqa_core.challenges.component_statistics import (explained, mean_pauc, percentiles, rank_correlations,
                                                       target_table, with_fusions)
from fiqa_core.evaluation.comparisons import benchmark_pairs
from fiqa_core.evaluation.curves import Measure, Settings
from fiqa_core.evaluation.ranks import harm
from fiqa_core.pipeline.embed import load_embeddings
from fiqa_core.pipeline.outputs import load_benchmarks, load_sets
from fiqa_core.pipeline.score import score_face_set
from fiqa_core.reporting.beside import choose, load_scores
from fiqa_core.reporting.figure_faces import benchmark_faces, pictures, spread_of_quality

BATCH = 128


@dataclass(frozen=True)
class VectorQuality:
    """What notebook 43 shows.

    truth       component, cause, spearman, ...: each component and the causes it is meant to see
    causes      x (component), y (cause), spearman, low, high, images: every component with every cause
    methods     the same with y a method; explained: method, r2, images
    discarding  ranking, pauc, low, high, benchmarks: discarding by a component, by their fusions, by a method
    faces       benchmark, image_id and percentiles of every component and method, one row per image
    """

    truth: pd.DataFrame
    causes: pd.DataFrame
    methods: pd.DataFrame
    explained: pd.DataFrame
    discarding: pd.DataFrame
    faces: pd.DataFrame


def measure_vector() -> VectorQuality:
    """All tables, from `challenges.vector.comparisons` pairs of each kind of every benchmark."""
    return with_settings(_measure, "challenges.vector")


def _measure(comparisons: int, recogniser: str, space: dict, limit: float) -> VectorQuality:
    sets = {name: pair_subset(faces, comparisons, settings("seed"))
            for name, faces in load_benchmarks().items()}
    measures = dict(COMPONENTS) | face_space(**space)
    scores = load_scores(failed=True)
    components = {name: component_table(faces, measures) for name, faces in sets.items()}
    methods = {name: saved_scores(faces, scores) for name, faces in sets.items()}
    images = pd.concat([faces.images for faces in sets.values()], ignore_index=True)
    vector = pd.concat(components.values(), ignore_index=True)
    scalars = pd.concat(methods.values(), ignore_index=True).replace(-np.inf, np.nan)
    who, seed = pd.factorize(images["identity"])[0], settings("seed")
    magnitudes = harm(images)
    causes, by_method = (rank_correlations(vector, table, who, settings("evaluation.resamples"), seed)
                         for table in (magnitudes, scalars))
    names = pd.DataFrame({"benchmark": np.repeat(list(sets), [len(faces) for faces in sets.values()]),
                          "image_id": images["image_id"]})
    r2 = [(m, explained(vector, scalars[m].to_numpy(), who, seed), int(scalars[m].notna().sum()))
          for m in scalars]
    return VectorQuality(target_table(vector, magnitudes, causes), causes, by_method,
                         pd.DataFrame(r2, columns=["method", "r2", "images"]),
                         _discarding(sets, components, methods, recogniser, limit),
                         pd.concat([names, percentiles(vector), scalars.rank(pct=True)], axis=1))


def component_table(faces: FaceSet, measures: dict) -> pd.DataFrame:
    """A column per measure, a row per image of `faces`; measures: name -> function of (B, 3, 112, 112)."""
    device = default_device()
    return pd.DataFrame({name: score_face_set(measure, faces, batch=BATCH, device=device)
                         for name, measure in measures.items()})


def face_space(faces: int, components: int) -> dict[str, FaceSpace]:
    """The occlusion measure, fitted to `faces` unspoilt training faces; nothing where a suite has none.

    Unspoilt: without occlusion where that is known, else any (photographs are rarely occluded).
    """
    if not (project.build() / "training" / "images.csv").is_file():
        return {}
    training = load_sets().get("training")
    if training is None:
        return {}
    usable = np.flatnonzero(training.images.get("occlusion", np.zeros(len(training))) == 0)
    rows = np.random.default_rng(settings("seed")).permutation(usable)[:faces]
    batch = to_batch(np.asarray(training.pixels[np.sort(rows)]), default_device())
    return {OCCLUSION: FaceSpace(batch, components)}


def _discarding(sets: dict, components: dict, methods: dict, recogniser: str, limit: float) -> pd.DataFrame:
    """Mean pAUC over benchmarks of every component, fusion and method that scored all images."""
    slug = next(iter(chosen_recognisers([recogniser])))
    chosen = Settings(settings("evaluation.fmr"), ("iso",), (limit,), settings("evaluation.resamples"))
    full, found = load_benchmarks(), {}
    for name, faces in sets.items():
        rows = pd.Index(full[name].images["image_id"]).get_indexer(faces.images["image_id"])
        scores = pd.concat([with_fusions(components[name]), methods[name].dropna(axis=1)], axis=1)
        found[name] = ranking_pauc(faces, load_embeddings(slug, name)[rows], scores, chosen,
                                   settings("evaluation.seed"))
    return mean_pauc(found)


def ranking_pauc(faces: FaceSet, embeddings: np.ndarray, scores: pd.DataFrame, chosen: Settings,
                 seed) -> dict[str, tuple[float, np.ndarray]]:
    """pAUC (preset `iso`) of discarding by each column of `scores`: name -> (value, replicates (R,))."""
    pairs, at = benchmark_pairs(faces), ("", chosen.discard_limits[0])
    measure = Measure(pairs, {"": pairs.similarity(embeddings)}, chosen, seed)
    found = {name: measure.method(scores[name].to_numpy(dtype=np.float64))["iso"] for name in scores}
    return {name: (result.pauc[at], result.replicates.get(at)) for name, result in found.items()}


def explained_faces(ranks: pd.DataFrame, method: str = "",
                    count: int = 8) -> tuple[dict, pd.DataFrame, pd.DataFrame]:
    """Pictures of `count` faces from worst to best by `method` ("" for the first), of one benchmark, and the
    percentiles of that method and all components, twice: as `figure_faces.score_table` takes them.

    ranks  `VectorQuality.faces`. Raises FiqaError if no face has that method's score.
    """
    components = [c for c in ranks if c in COMPONENTS or c == OCCLUSION]
    methods = [c for c in ranks if c not in ("benchmark", "image_id", *components)]
    method = method or methods[0]
    if method not in methods:
        raise FiqaError(f"explained_by is {method!r}, which has no scores",
                        f"choose one of {', '.join(methods)}")
    name = choose("benchmark", ranks.loc[ranks[method].notna(), "benchmark"])
    own = ranks[(ranks["benchmark"] == name)].set_index("image_id")[[method, *components]].dropna()
    chosen = spread_of_quality(own, method, count)
    return pictures(benchmark_faces(name), chosen), own.loc[chosen], own.loc[chosen]
