"""One measure per visible flaw, beside the scalar: why a face is poor, not only that it is.

In the spirit of the component measures of ISO/IEC 29794-5 and OFIQ, whose names are used, but not conformant
to them: these see an aligned crop of 112 pixels, not a portrait. Each takes aligned faces (B, 3, 112, 112)
float32 RGB in [0, 1] and returns (B,) float32, higher is better; a face's value does not depend on its batch.
`sharpness`, `illumination` and `symmetry` (pose) are quality methods too, in `methods/pixels.py`.
"""
import torch
import torch.nn.functional as F

from fiqa_core.base.errors import FiqaError
from fiqa_core.kernels.chunks import check_images
from fiqa_core.methods.pixels import COLUMNS, ROWS, illumination, luminance, sharpness, symmetry

DARK, BRIGHT = 0.12, 0.9                        # luminance beyond which skin shows no detail
EYES = ((slice(45, 58), slice(29, 48)), (slice(45, 58), slice(64, 83)))      # around the template's eyes
MOUTH = slice(84, 103), slice(46, 67)           # between the template's mouth corners
CHEEKS = ((slice(66, 82), slice(28, 44)), (slice(66, 82), slice(68, 84)))
BLOCK = 8                                       # pixels of a JPEG block
TINY = 1e-4


def exposure(images: torch.Tensor) -> torch.Tensor:
    """Share of the face that is neither under- nor over-exposed, in [0, 1] (ISO: exposure prevention)."""
    face = luminance(check_images(images))[:, ROWS, COLUMNS].flatten(1)
    return ((face > DARK) & (face < BRIGHT)).float().mean(dim=1)


def noise(images: torch.Tensor) -> torch.Tensor:
    """Minus the noise's standard deviation, <= 0: from the median of the finest diagonal details.

    Donoho & Johnstone (Biometrika 81, 1994): the median is blind to the few details that a face's edges
    cause. Noise that compression or the camera has smoothed is not seen.
    """
    face = luminance(check_images(images))[:, ROWS, COLUMNS]
    detail = (face[:, ::2, ::2] - face[:, 1::2, ::2] - face[:, ::2, 1::2] + face[:, 1::2, 1::2]) / 2
    return -detail.abs().flatten(1).median(dim=1).values / 0.6745


def compression(images: torch.Tensor) -> torch.Tensor:
    """Minus the blockiness, <= 0: how far steps at one phase of an 8-pixel grid exceed the others.

    Every phase is tried, since a crop need not begin at a block. Resampling after compression hides the grid.
    """
    picture = luminance(check_images(images))
    excess = []
    for along in (picture, picture.transpose(1, 2)):
        step = (along[:, :, 1:] - along[:, :, :-1]).abs().mean(dim=1)               # (B, 111)
        phases = torch.stack([step[:, p::BLOCK].mean(dim=1) for p in range(BLOCK)], dim=1)
        excess.append(phases.max(dim=1).values / (phases.median(dim=1).values + TINY) - 1)
    return -torch.stack(excess).mean(dim=0)


def eyes_open(images: torch.Tensor) -> torch.Tensor:
    """Contrast around the worse eye, >= 0: iris and sclera differ, a lid does not; dark lenses hide both."""
    picture = luminance(check_images(images))
    boxes = torch.stack([picture[:, rows, columns].flatten(1) for rows, columns in EYES])
    return (boxes.std(dim=2) / (boxes.mean(dim=2) + TINY)).min(dim=0).values


def mouth_closed(images: torch.Tensor) -> torch.Tensor:
    """Luminance of the lips' darkest tenth over the cheeks', >= 0: an open mouth is a dark hole."""
    picture = luminance(check_images(images))
    mouth = picture[:, MOUTH[0], MOUTH[1]].flatten(1)
    darkest = mouth.topk(mouth.shape[1] // 10, largest=False).values.mean(dim=1)
    cheeks = torch.stack([picture[:, rows, columns].flatten(1).mean(dim=1) for rows, columns in CHEEKS])
    cheeks = cheeks.amax(dim=0)
    return darkest / (cheeks + TINY)


class FaceSpace:
    """Occlusion: what of a face the principal components of unoccluded faces cannot explain.

    A hand or a mask is no combination of faces. So is a strange light or pose, to a lesser degree: the
    measure is unfamiliarity, and occlusion is its strongest cause. Turk & Pentland (J. Cognitive Neuroscience
    3, 1991).
    """

    def __init__(self, faces: torch.Tensor, components: int = 40):
        """Fit to faces (B, 3, 112, 112) float32 in [0, 1]. Raises FiqaError if there are too few."""
        if len(faces) <= components:
            raise FiqaError(f"{len(faces)} faces for {components} principal components", "give more faces")
        patches = self._patches(faces)
        self.mean = patches.mean(dim=0)
        self.basis = torch.linalg.svd(patches - self.mean, full_matrices=False).Vh[:components]

    @staticmethod
    def _patches(images: torch.Tensor) -> torch.Tensor:
        """Blocks of 4 x 4 pixels (B, 288) of mean 0 and length 1: neither exposure nor noise count."""
        face = F.avg_pool2d(luminance(check_images(images))[:, None, ROWS, COLUMNS], 4).flatten(1)
        return F.normalize(face - face.mean(dim=1, keepdim=True), dim=1)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Minus the length of the unexplained part (B,) float32, in [-1, 0], of images (B, 3, 112, 112)."""
        patches = self._patches(images) - self.mean
        return -(patches - patches @ self.basis.T @ self.basis).norm(dim=1)


COMPONENTS = {"sharpness": sharpness, "noise": noise, "compression": compression,
              "illumination": illumination, "exposure": exposure, "pose": symmetry,
              "eyes open": eyes_open, "mouth closed": mouth_closed}
OCCLUSION = "occlusion"
