"""Reference lines that measure one visible cause each, without any network: sharpness, illumination, pose.

They stand under the methods in every table: a method worth its cost must beat them. The measures follow the
ideas behind ISO/IEC 29794-5 (its terms are used) but are not conformant to it. Each takes aligned faces
(B, 3, 112, 112) float32 RGB in [0, 1] and returns quality (B,) float32, higher is better; an image's score
does not depend on its batch.
"""
import math

import torch
import torch.nn.functional as F

from fiqa_core.base.method import Method
from fiqa_core.kernels.chunks import check_images

LUMA = (0.299, 0.587, 0.114)                    # ITU-R BT.601
ROWS, COLUMNS = slice(32, 104), slice(24, 88)   # brow to chin, symmetric about the template's middle
BINS = 32                                       # of luminance histograms


def luminance(images: torch.Tensor) -> torch.Tensor:
    """Luminance (B, H, W) of RGB images (B, 3, H, W), on the images' scale."""
    return torch.einsum("bchw,c->bhw", images, images.new_tensor(LUMA))


def sharpness(images: torch.Tensor) -> torch.Tensor:
    """Variance of the Laplacian of the face's luminance, >= 0 (Pech-Pacheco et al., ICPR 2000).

    Blind to what sharpens: noise and JPEG blocks raise it. Raises FiqaError for unfit images.
    """
    face = luminance(check_images(images))[:, ROWS, COLUMNS]
    second = face[:, 1:-1, 2:] + face[:, 1:-1, :-2] + face[:, 2:, 1:-1] + face[:, :-2, 1:-1]
    laplacian = (second - 4 * face[:, 1:-1, 1:-1]).flatten(1)
    return (laplacian - laplacian.mean(dim=1, keepdim=True)).square().mean(dim=1)


def illumination(images: torch.Tensor) -> torch.Tensor:
    """Illumination uniformity times dynamic range, in [0, 1].

    Uniformity is the intersection of the luminance histograms of the left and the right half of the face,
    dynamic range the entropy of the whole face's, as a share of the largest possible: dark and washed-out
    faces fill few bins. Raises FiqaError for unfit images.
    """
    halves = luminance(check_images(images))[:, ROWS, COLUMNS].chunk(2, dim=2)
    left, right = (histogram(half.flatten(1)) for half in halves)
    entropy = torch.special.entr((left + right) / 2).sum(dim=1)
    return torch.minimum(left, right).sum(dim=1) * entropy / math.log(BINS)


def histogram(values: torch.Tensor) -> torch.Tensor:
    """Shares (B, BINS) of values (B, N) in equal bins of [0, 1]; the last bin holds 1."""
    bins = (values * BINS).long().clamp(0, BINS - 1)
    counts = values.new_zeros(len(values), BINS).scatter_add_(1, bins, torch.ones_like(values))
    return counts / values.shape[1]


def symmetry(images: torch.Tensor) -> torch.Tensor:
    """Pose from pixels: correlation of the face with its mirror image, in [-1, 1]; 0 of an even picture.

    Means over blocks of 4x4 pixels hide noise and small errors of alignment; the mean of each half, which
    light from one side shifts, is taken out. The size of the face cannot be measured here: alignment gives
    every face the same. Raises FiqaError for unfit images.
    """
    face = F.avg_pool2d(luminance(check_images(images))[:, None, ROWS, COLUMNS], 4)[:, 0]
    left, right = face.chunk(2, dim=2)
    halves = torch.stack((left, right.flip(2)), dim=1).flatten(2)
    return F.cosine_similarity(*(halves - halves.mean(dim=2, keepdim=True)).unbind(1), dim=1)


METHODS = [Method("sharpness", "Sharpness", lambda: sharpness),
           Method("illumination", "Illumination", lambda: illumination), Method("symmetry", "Symmetry", lambda: symmetry)]
