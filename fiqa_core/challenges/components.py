"""Challenge: a vector of component measures beside the scalar score (notebook 43)."""
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fiqa_core.base import project
from fiqa_core.base.device import default_device
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet, load_face_set
from fiqa_core.base.images import to_batch
from fiqa_core.base.project import settings
from fiqa_core.challenges.chosen_faces import chosen_recognisers, pair_subset, saved_scores, with_settings
from fiqa_core.challenges.component_measures import COMPONENTS, OCCLUSION, FaceSpace
from fiqa_core.challenges.component_statistics import (LEARNED, explained, learned_fusion, mean_pauc,
                                                       percentiles, rank_correlations, target_table,
                                                       with_fusions)
from fiqa_core.challenges.portraits import TRUTHS, photograph_measures
from fiqa_core.evaluation.comparisons import benchmark_pairs
from fiqa_core.evaluation.curves import Measure, Settings
from fiqa_core.evaluation.ranks import harm
from fiqa_core.pipeline.embed import load_embeddings
from fiqa_core.pipeline.outputs import load_benchmarks
from fiqa_core.pipeline.score import score_face_set
from fiqa_core.reporting.beside import choose, load_scores
from fiqa_core.rendering.identity import sample_identities
from fiqa_core.rendering.nuisance import draw
from fiqa_core.rendering.renderer import render_faces
from fiqa_core.reporting.figure_faces import benchmark_faces, pictures, spread_of_quality

BATCH = 128
# what varies in the faces that stand for a suite's own where it trains nothing
UNSPOILT = {"yaw": {"normal": [0, 12]}, "pitch": {"normal": [0, 6]}, "light_angle": {"normal": [0, 30]},
            "smile": {"uniform": [0, 1]}, "age": {"normal": [35, 12]}}


@dataclass(frozen=True)
class VectorQuality:
    """What notebook 43 shows.

    truth       component, cause, spearman, ...: each component and the causes it is meant to see
    causes      x (component), y (cause), spearman, low, high, images: every component with every cause
    methods     the same with y a method; explained: method, r2, images
    weights     component, weight in the learned unified score; empty where there are too few people to learn
                from
    discarding  ranking, pauc, low, high, benchmarks: discarding by a component, by a unified score, by a
                method
    faces       benchmark, image_id and percentiles of every component and method, one row per image
    """

    truth: pd.DataFrame
    causes: pd.DataFrame
    methods: pd.DataFrame
    explained: pd.DataFrame
    weights: pd.DataFrame
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
    components = {name: pd.concat([component_table(faces, measures), photograph_measures(faces)], axis=1)
                  for name, faces in sets.items()}
    methods = {name: saved_scores(faces, scores) for name, faces in sets.items()}
    images = pd.concat([faces.images for faces in sets.values()], ignore_index=True)
    vector = pd.concat(components.values(), ignore_index=True).dropna(axis=1, how="all")
    scalars = pd.concat(methods.values(), ignore_index=True).replace(-np.inf, np.nan)
    who, seed = pd.factorize(images["identity"])[0], settings("seed")
    magnitudes = harm(images)
    causes, by_method = (rank_correlations(vector, table, who, settings("evaluation.resamples"), seed)
                         for table in (magnitudes, scalars))
    names = pd.DataFrame({"benchmark": np.repeat(list(sets), [len(faces) for faces in sets.values()]),
                          "image_id": images["image_id"]})
    slug = next(iter(chosen_recognisers([recogniser])))
    embeddings = {name: chosen_embeddings(slug, faces) for name, faces in sets.items()}
    target = np.concatenate([genuine_rank(faces, embeddings[name]) for name, faces in sets.items()])
    learned, weights = learned_fusion(vector, target, who, seed)
    ends = np.cumsum([len(faces) for faces in sets.values()])[:-1]
    unified = {name: with_fusions(components[name]).assign(**{LEARNED: part}).dropna(axis=1, how="all")
               for name, part in zip(sets, np.split(learned, ends))}
    r2 = [(m, explained(vector, scalars[m].to_numpy(), who, seed), int(scalars[m].notna().sum()))
          for m in scalars]
    return VectorQuality(target_table(vector, magnitudes, causes), causes, by_method,
                         pd.DataFrame(r2, columns=["method", "r2", "images"]),
                         weights.rename_axis("component").rename("weight").reset_index(),
                         _discarding(sets, embeddings, unified, methods, limit),
                         pd.concat([names, percentiles(vector), scalars.rank(pct=True)], axis=1))


def component_table(faces: FaceSet, measures: dict) -> pd.DataFrame:
    """A column per measure, a row per image of `faces`; measures: name -> function of (B, 3, 112, 112)."""
    device = default_device()
    return pd.DataFrame({name: score_face_set(measure, faces, batch=BATCH, device=device)
                         for name, measure in measures.items()})


def face_space(faces: int, components: int) -> dict[str, FaceSpace]:
    """The occlusion measure, fitted to `faces` unspoilt training faces; to rendered ones where a suite has
    none.

    Unspoilt: without occlusion where that is known, else any (photographs are rarely occluded).
    """
    folder, seed = project.build() / "training", settings("seed")
    training = load_face_set(folder) if (folder / "images.csv").is_file() else ()
    if len(training):
        usable = np.flatnonzero(training.images.get("occlusion", np.zeros(len(training))) == 0)
        rows = np.random.default_rng(seed).permutation(usable)[:faces]
        pixels = np.asarray(training.pixels[np.sort(rows)])
    else:
        people, shown = sample_identities(faces, seed), draw(UNSPOILT, faces, np.random.default_rng(seed))
        pixels, _ = render_faces(people, np.arange(faces), shown, label="render unspoilt faces")
    return {OCCLUSION: FaceSpace(to_batch(pixels, default_device()), components)}


def chosen_embeddings(slug: str, faces: FaceSet) -> np.ndarray:
    """Embeddings (N, D) of these images, out of those that stage `embed` wrote of their benchmark."""
    every = load_benchmarks()[faces.name].images["image_id"]
    return load_embeddings(slug, faces.name)[pd.Index(every).get_indexer(faces.images["image_id"])]


def genuine_rank(faces: FaceSet, embeddings: np.ndarray) -> np.ndarray:
    """Where each image (N,) stands in its benchmark by its mean similarity with others of the same person, in
    (0, 1).

    NaN without such a comparison. What a unified score may learn: it needs no score of any method.
    """
    pairs = benchmark_pairs(faces)
    same = np.flatnonzero(pairs.genuine)
    sides, similarity = np.concatenate([pairs.a[same], pairs.b[same]]), pairs.similarity(embeddings)[same]
    count = np.bincount(sides, minlength=pairs.template.max() + 1)
    total = np.bincount(sides, np.tile(similarity, 2), minlength=len(count))
    means = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)[pairs.template]
    return percentiles(pd.DataFrame({"mean": means}))["mean"].to_numpy()


def _discarding(sets: dict, embeddings: dict, unified: dict, methods: dict, limit: float) -> pd.DataFrame:
    """Mean pAUC over benchmarks of every component, unified score and method; NaN takes the lowest place."""
    chosen = Settings(settings("evaluation.fmr"), ("iso",), (limit,), settings("evaluation.resamples"))
    found = {}
    for name, faces in sets.items():
        scores = pd.concat([lowest_where_unknown(unified[name]), methods[name].dropna(axis=1)], axis=1)
        found[name] = ranking_pauc(faces, embeddings[name], scores, chosen, settings("evaluation.seed"))
    return mean_pauc(found)


def lowest_where_unknown(table: pd.DataFrame) -> pd.DataFrame:
    """What cannot be measured counts as the worst: the missing face, the background that is not there."""
    return table.fillna(table.min() - 1)


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
    components = [c for c in ranks if c in COMPONENTS or c == OCCLUSION or c in TRUTHS]
    methods = [c for c in ranks if c not in ("benchmark", "image_id", *components)]
    method = method or methods[0]
    if method not in methods:
        raise FiqaError(f"explained_by is {method!r}, which has no scores",
                        f"choose one of {', '.join(methods)}")
    name = choose("benchmark", ranks.loc[ranks[method].notna(), "benchmark"])
    own = ranks[ranks["benchmark"] == name].set_index("image_id")[[method, *components]].dropna(subset=method)
    own = own.loc[:, own.notna().mean() > 0.5].dropna()         # without components that most images lack
    chosen = spread_of_quality(own, method, count)
    return pictures(benchmark_faces(name), chosen), own.loc[chosen], own.loc[chosen]
