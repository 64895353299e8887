"""Reference lines that measure one visible cause each, without any network: sharpness, illumination, pose.

They stand under the methods in every table: a method worth its cost must beat them. The measures follow the
ideas behind ISO/IEC 29794-5 (its terms are used) but are not conformant to it. Each takes aligned faces
(B, 3, 112, 112) float32 RGB in [0, 1] and returns quality (B,) float32, higher is better; an image's score
does not depend on its batch. `landmark_geometry` takes landmarks instead, where they are known.
"""
import math

import torch
import torch.nn.functional as F

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.method import Method
from fiqa_core.kernels.chunks import check_images

LUMA = (0.299, 0.587, 0.114)                    # ITU-R BT.601
ROWS, COLUMNS = slice(32, 104), slice(24, 88)   # brow to chin, symmetric about the template's middle
BINS = 32                                       # of luminance histograms
INTER_EYE = 90.0                                # pixels; more of them add nothing
FRONTAL_RATIO = 0.866                           # eye to eye over eyes to mouth, of the ArcFace template


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


def landmark_geometry(landmarks: torch.Tensor) -> torch.Tensor:
    """Face size and pose from five landmarks (B, 5, 2) of the original photograph -> (B,) float32 in [0, 1].

    landmarks   x, y in pixels, in ArcFace's order: left eye, right eye, nose, left and right mouth corner

    Size is the inter-eye distance, saturating at 90 pixels (ISO/IEC 29794-5 asks at least this much), read
    as that of a frontal face: turning shortens it, so the eyes-to-mouth distance stands in where it is
    longer. Pose is how far the nose lies sideways from the middle of eyes and mouth corners, in units of
    that distance: 1 frontal, falling to 0 in profile. Raises FiqaError for other shapes and for values that
    are not finite.
    """
    if landmarks.ndim != 3 or landmarks.shape[1:] != (5, 2) or not torch.isfinite(landmarks).all():
        raise FiqaError(f"landmarks of shape {tuple(landmarks.shape)}, or not finite",
                        "give (B, 5, 2): eyes, nose, mouth corners as x, y in pixels")
    left, right, nose, left_mouth, right_mouth = landmarks.double().unbind(1)
    across, down = right - left, (left_mouth + right_mouth - left - right) / 2
    size = torch.maximum(across.norm(dim=1), FRONTAL_RATIO * down.norm(dim=1))
    middle = (left + right + left_mouth + right_mouth) / 4
    upright = F.normalize(down, dim=1)
    sideways = ((nose - middle) * upright.flip(1) * upright.new_tensor((1, -1))).sum(dim=1).abs()
    pose = (1 - sideways / size.clamp(min=1e-9)).clamp(min=0)
    return ((size / INTER_EYE).clamp(max=1) * pose).float()


METHODS = [Method("sharpness", "Sharpness", lambda: sharpness),
           Method("illumination", "Illumination", lambda: illumination), Method("symmetry", "Symmetry", lambda: symmetry)]
