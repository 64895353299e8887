"""What another detector would have cropped: aligned faces warped again as if their landmarks had been found
elsewhere.

The crop is all that is left of the photograph, so pixels beyond its edge are not known; the edge is continued
there (black would be a cue that no detector leaves).
"""
from zlib import crc32

import cv2
import numpy as np

from fiqa_core.benchmarks.alignment import ARCFACE_TEMPLATE, similarity_transform
from fiqa_core.errors import FiqaError


def jitter_matrices(image_ids, radius: float, seed: int) -> np.ndarray:
    """Warps (N, 2, 3) that align by landmarks of which each coordinate is off by uniform(-radius, radius)
    pixels.

    image_ids  N texts. The direction of an image's errors depends on its id and `seed` only, so a larger
               radius moves the same landmarks further, whichever images stand beside it.
    Source: AI-KD (Babnik et al., IWBF 2024), which jitters by up to 3 pixels. Raises FiqaError if radius < 0.
    """
    if radius < 0:
        raise FiqaError(f"landmark jitter of {radius} pixels", "give a radius of 0 pixels or more")
    matrices = np.empty((len(image_ids), 2, 3))
    for row, name in enumerate(image_ids):
        error = np.random.default_rng([seed, crc32(str(name).encode())]).uniform(-1, 1, (5, 2))
        matrices[row] = similarity_transform(ARCFACE_TEMPLATE + radius * error, ARCFACE_TEMPLATE)
    return matrices


def crop_matrix(scale: float = 1.0, right: float = 0.0, down: float = 0.0) -> np.ndarray:
    """Warp (2, 3) that enlarges the face by `scale` about the crop's centre, then moves it by pixels.

    A detector with a wider margin has scale < 1. Raises FiqaError unless scale > 0.
    """
    if scale <= 0:
        raise FiqaError(f"crop scale is {scale}", "give a positive factor, 1 for the template's own")
    margin = 55.5 * (1 - scale)
    return np.array([[scale, 0, margin + right], [0, scale, margin + down]], dtype=np.float64)


def rewarp(pixels: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """uint8 faces (N, H, W, 3) warped by `matrices`, (2, 3) for all or (N, 2, 3); bilinear, edges
    continued."""
    matrices = np.broadcast_to(matrices, (len(pixels), 2, 3))
    size = pixels.shape[2], pixels.shape[1]
    warped = np.empty(pixels.shape, dtype=np.uint8)
    for row, matrix in enumerate(matrices):
        warped[row] = cv2.warpAffine(np.ascontiguousarray(pixels[row]), matrix, size, flags=cv2.INTER_LINEAR,
                                     borderMode=cv2.BORDER_REPLICATE)
    return warped
