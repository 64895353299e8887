"""Templates of several images: pooled embeddings, template quality, similarity of many pairs.

Groups are integer codes, so that nothing loops over templates: `template` (N,) in [0, T) names each
image's template, `media` (N,) its still or clip (any codes; compared within a template only).
Source of the pooling: the IJB-C 1:1 protocol as used by insightface (frames of one clip count once).
"""
import numpy as np

from fiqa_core.errors import FiqaError

TEMPLATE_QUALITY = ("min", "mean", "max")
POOLED = 32_768             # images pooled at once: bounds memory, never changes a result


def pool(embeddings: np.ndarray, template: np.ndarray, media: np.ndarray,
         quality: np.ndarray | None = None, keep_norm: bool = False,
         keep: np.ndarray | None = None) -> np.ndarray:
    """Unit template vectors (T, D) float32: mean within each medium, sum over media, L2-normalised.

    embeddings  (N, D) face vectors, memory-mapped or not; reduced to unit length first unless `keep_norm`
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
        pooled[begin:end] = pool_block(vectors if keep_norm else unit(vectors), medium[block], owner,
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
