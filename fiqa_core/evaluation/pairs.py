"""The comparisons of one benchmark as integers, ready for every recogniser and every quality method."""
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fiqa_core.benchmarks.pair_files import template_codes
from fiqa_core.benchmarks.tables import FaceSet
from fiqa_core.errors import FiqaError
from fiqa_core.evaluation import templates


@dataclass(frozen=True)
class BenchmarkPairs:
    """Comparisons between the templates of a face set (a still image is a template of its own).

    images      (N rows) the face set's images table
    template    (N,) template code of every image, media (N,) code of its medium
    failed      (N,) bool, failure to extract: images with a non-zero `fte` column, if there is one
    a, b        (P,) int32 template codes, genuine (P,) bool, fold (P,) int
    identity_a, identity_b  (P,) int32 identity codes in [0, identities)
    """

    name: str
    images: pd.DataFrame
    template: np.ndarray
    media: np.ndarray
    failed: np.ndarray
    a: np.ndarray
    b: np.ndarray
    genuine: np.ndarray
    fold: np.ndarray
    identity_a: np.ndarray
    identity_b: np.ndarray

    @property
    def identities(self) -> int:
        """Number of identities that take part in a comparison."""
        return int(max(self.identity_a.max(), self.identity_b.max())) + 1

    def similarity(self, embeddings: np.ndarray, keep_norm: bool = False) -> np.ndarray:
        """Cosine (P,) float64 in [-1, 1] of the templates pooled from `embeddings` (N, D), rows as `images`.

        Failed images are left out of their template; a template of nothing else has -1 with everything.
        """
        if len(embeddings) != len(self.images):
            raise FiqaError(f"{self.name}: {len(embeddings)} embeddings for {len(self.images)} images",
                            "embed every image of the face set, in the order of its images table")
        keep = templates.usable_images(self.failed, self.template)
        vectors = templates.pool(embeddings, self.template, self.media, keep_norm=keep_norm, keep=keep)
        similarity = templates.pair_similarity(vectors, self.a, self.b).astype(np.float64)
        np.clip(similarity, -1, 1, out=similarity)
        lost = templates.group_reduce(np.minimum, self.failed, self.template)
        if lost.any():
            similarity[lost[self.a] | lost[self.b]] = -1.0
        return similarity

    def quality(self, scores: np.ndarray, how: str = "min") -> np.ndarray:
        """Quality (P,) float64 of the comparisons from image `scores` (N,): NaN where an image has none,
        -inf where an image failed to extract."""
        return templates.pair_quality(self.template_quality(scores, how), self.a, self.b)

    def template_quality(self, scores: np.ndarray, how: str = "min") -> np.ndarray:
        """Quality (T,) float64 of the templates from image `scores` (N,); NaN and -inf as in `quality`."""
        scores = np.where(self.failed, -np.inf, scores)
        return templates.template_quality(scores, self.template, self.media, how)


def benchmark_pairs(faces: FaceSet) -> BenchmarkPairs:
    """Codes for the comparisons of `faces`.

    Raises FiqaError if there are none, or a template mixes identities.
    """
    images, pairs = faces.images.reset_index(drop=True), faces.pairs
    if not len(pairs):
        raise FiqaError(f"face set {faces.name} has no pairs", "evaluate benchmarks, not training sets")
    template, names = pd.factorize(images["template_id"])
    media = pd.factorize(images["media_id"])[0]
    owner = pd.factorize(images["identity"])[0]
    identity = np.zeros(len(names), dtype=np.int64)
    identity[template] = owner
    if (identity[template] != owner).any():
        mixed = images["template_id"][identity[template] != owner].iloc[0]
        raise FiqaError(f"face set {faces.name}: template {mixed} holds several identities",
                        "give every template one identity in images.csv")
    a, b = (template_codes(pairs[side], pd.Index(names)) for side in "ab")
    compared = np.zeros(len(names), dtype=bool)
    compared[a] = compared[b] = True
    codes = np.searchsorted(np.unique(identity[compared]), identity).astype(np.int32)
    failed = images["fte"].to_numpy() != 0 if "fte" in images else np.zeros(len(images), dtype=bool)
    return BenchmarkPairs(faces.name, images, template, media, failed, a, b, pairs["genuine"].to_numpy() == 1,
                          pairs["fold"].to_numpy(), codes[a], codes[b])


def face_set_similarity(faces: FaceSet, embeddings: np.ndarray) -> np.ndarray:
    """Cosine (P,) float64 of every pair of a face set from the embeddings (N, D) of its images."""
    return benchmark_pairs(faces).similarity(embeddings)
