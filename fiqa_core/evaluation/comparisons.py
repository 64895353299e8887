"""The comparisons of one benchmark as integers, ready for every recogniser and every quality method.

Templates of several images are pooled. Groups are codes, so that nothing loops over templates: `template`
(N,) in [0, T) names each image's template, `media` (N,) its still or clip (any codes; compared within a
template only). Source of the pooling: the IJB-C 1:1 protocol as used by insightface (frames of one clip count
once).
"""
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet, template_codes
from fiqa_core.evaluation.discard import pair_ranks, ranks

TEMPLATE_QUALITY = ("min", "mean", "max")
POOLED = 32_768             # images pooled at once: bounds memory, never changes a result


def pool(embeddings: np.ndarray, template: np.ndarray, media: np.ndarray,
         quality: np.ndarray | None = None, keep: np.ndarray | None = None) -> np.ndarray:
    """Unit template vectors (T, D) float32: mean within each medium, sum over media, L2-normalised.

    embeddings  (N, D) face vectors, memory-mapped or not; reduced to unit length first
    keep        (N,) bool, the images that count (None: all); every template needs one
    quality     (N,) optional: weighted means instead, weights max(quality, 0) within a medium and each
                medium weighted by its mean weight. Fusion answers another question than discarding:
                report it apart. A template whose weights are all 0 falls back to the plain mean.
    Raises FiqaError if lengths differ or a template code has no image.
    """
    if not len(embeddings) == len(template) == len(media):
        raise FiqaError(f"{len(embeddings)} embeddings, {len(template)} templates, {len(media)} media codes",
                        "give one template and one media code for every embedding")
    rows = np.arange(len(template)) if keep is None else np.flatnonzero(keep)
    owner, medium = media_groups(template[rows], media[rows])
    weight = None if quality is None else fusion_weight(np.asarray(quality)[rows], template[rows])
    order = np.argsort(medium, kind="stable")                   # a template's images adjoin, media in order
    first = np.searchsorted(owner[medium[order]], np.arange(owner[-1] + 2))
    pooled = np.empty((owner[-1] + 1, embeddings.shape[1]), dtype=np.float32)
    for begin, end in blocks(first, POOLED):
        block = order[first[begin]:first[end]]
        vectors = np.asarray(embeddings[rows[block]], dtype=np.float32)
        pooled[begin:end] = pool_block(unit(vectors), medium[block], owner,
                                       None if weight is None else weight[block])
    return pooled


def blocks(first: np.ndarray, most: int) -> list[tuple[int, int]]:
    """Runs (begin, end) of groups that hold at most `most` rows together, or one group alone if it is larger.

    first  (G + 1,) row at which each group begins, then the number of rows
    """
    found, begin = [], 0
    while begin < len(first) - 1:
        end = max(int(np.searchsorted(first, first[begin] + most, side="right")) - 1, begin + 1)
        found.append((begin, end))
        begin = end
    return found


def pool_block(vectors: np.ndarray, medium: np.ndarray, owner: np.ndarray,
               weight: np.ndarray | None) -> np.ndarray:
    """Unit template vectors of whole templates whose images' (n, D) media codes (n,) ascend.

    owner  template code of every medium; weight (n,) float32 as in `fusion_weight`, None for plain means
    """
    group = medium - medium[0]
    template = owner[medium[0]:medium[-1] + 1] - owner[medium[0]]
    if weight is None:
        return unit(group_reduce(np.add, group_mean(vectors, group), template))
    total = group_reduce(np.add, vectors * weight[:, None], group) / np.bincount(group)[:, None]
    return unit(group_reduce(np.add, total, template))


def fusion_weight(quality: np.ndarray, template: np.ndarray) -> np.ndarray:
    """Non-negative float32 weights (N,); 1 throughout a template in which no image has positive quality."""
    weight = np.maximum(np.nan_to_num(np.asarray(quality, dtype=np.float32), nan=0.0, neginf=0.0), 0)
    return np.where(np.bincount(template, weight)[template] > 0, weight, np.float32(1))


def media_groups(template: np.ndarray, media: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(template code of every medium (M,), medium code of every image (N,)); media of a template adjoin."""
    _, media = np.unique(media, return_inverse=True)
    template = np.asarray(template, dtype=np.int64)
    keys, medium = np.unique(template * (media.max() + 1) + media, return_inverse=True)
    owner = keys // (media.max() + 1)
    if len(np.unique(owner)) != template.max() + 1:
        raise FiqaError("template codes have gaps", "number the templates 0 to T-1 (pandas.factorize)")
    return owner, medium


def group_reduce(operation: np.ufunc, values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """`operation` (np.add, np.minimum, ...) over `values` (N, ...) of the groups 0..G-1, none empty."""
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max() + 1))
    return operation.reduceat(values[order], starts, axis=0)


def group_mean(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Mean of `values` (N, ...) over groups 0..G-1."""
    count = np.bincount(group).reshape(-1, *[1] * (values.ndim - 1))
    return group_reduce(np.add, values, group) / count.astype(values.dtype)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of unit length; a zero vector stays zero and is like nothing."""
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norm > 0, norm, 1)


def usable_images(failed: np.ndarray, template: np.ndarray) -> np.ndarray:
    """Images (N,) bool that stand for their template: those that did not fail, or all where all did."""
    usable = ~np.asarray(failed, dtype=bool)
    return usable | (np.bincount(template, usable)[template] == 0)


def template_quality(quality: np.ndarray, template: np.ndarray, media: np.ndarray,
                     how: str = "min") -> np.ndarray:
    """Quality of each template (T,) float64 from its images' (N,).

    how  "min" over all images (default, conservative), "mean" of the media's means, or "max"
    NaN in any image makes the template NaN (not scored). Images of quality -inf (failure to extract) are
    left out; a template of nothing else is -inf.
    """
    if how not in TEMPLATE_QUALITY:
        raise FiqaError(f"template quality {how!r} is unknown", f"choose from {', '.join(TEMPLATE_QUALITY)}")
    quality = np.asarray(quality, dtype=np.float64)
    keep = usable_images(quality == -np.inf, template)
    quality, template, media = quality[keep], template[keep], media[keep]
    if how == "mean":
        owner, medium = media_groups(template, media)
        return group_mean(group_mean(quality, medium), owner)
    return group_reduce({"min": np.minimum, "max": np.maximum}[how], quality, template)


def pair_quality(quality: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Minimum of the two templates' qualities (P,): discarding images in ascending order removes their
    comparisons in exactly this order. a, b are (P,) indices into quality (T,)."""
    return np.minimum(quality[a], quality[b])


def pair_similarity(vectors: np.ndarray, a: np.ndarray, b: np.ndarray, chunk: int = 1024) -> np.ndarray:
    """Cosines (P,) float32 of unit rows a and b of `vectors` (T, D), a chunk of pairs at a time.

    The result does not depend on `chunk`, which only bounds memory (2 * chunk * D floats).
    """
    similarity = np.empty(len(a), dtype=np.float32)
    for start in range(0, len(a), chunk):
        part = slice(start, start + chunk)
        np.einsum("pd,pd->p", vectors[a[part]], vectors[b[part]], out=similarity[part])
    return similarity


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

    def similarity(self, embeddings: np.ndarray, keep: np.ndarray | None = None,
                   weight: np.ndarray | None = None) -> np.ndarray:
        """Cosine (P,) float64 in [-1, 1] of the templates pooled from `embeddings` (N, D), rows as `images`.

        keep, weight  (N,) bool, the images that count (None: all), and their `quality` in `pool`
        Failed images are left out of their template; a template of nothing else has -1 with everything.
        """
        if len(embeddings) != len(self.images):
            raise FiqaError(f"{self.name}: {len(embeddings)} embeddings for {len(self.images)} images",
                            "embed every image of the face set, in the order of its images table")
        usable = usable_images(self.failed, self.template)
        keep = usable if keep is None else usable & keep
        vectors = pool(embeddings, self.template, self.media, weight, keep)
        similarity = pair_similarity(vectors, self.a, self.b).astype(np.float64)
        np.clip(similarity, -1, 1, out=similarity)
        lost = group_reduce(np.minimum, self.failed, self.template)
        if lost.any():
            similarity[lost[self.a] | lost[self.b]] = -1.0
        return similarity

    def ranks(self, scores: np.ndarray, how: str = "min") -> np.ndarray:
        """Ranks (P,) of the comparisons by `quality`: see `discard.ranks`; no pair's quality is looked at."""
        return pair_ranks(ranks(self.template_quality(scores, how)), self.a, self.b)

    def quality(self, scores: np.ndarray, how: str = "min") -> np.ndarray:
        """Quality (P,) float64 of the comparisons from image `scores` (N,): NaN where an image has none,
        -inf where an image failed to extract."""
        return pair_quality(self.template_quality(scores, how), self.a, self.b)

    def template_quality(self, scores: np.ndarray, how: str = "min") -> np.ndarray:
        """Quality (T,) float64 of the templates from image `scores` (N,); NaN and -inf as in `quality`."""
        scores = np.where(self.failed, -np.inf, scores)
        return template_quality(scores, self.template, self.media, how)


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
