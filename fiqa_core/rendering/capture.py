"""What happens to the picture after light has reached the camera: blur, pixels, noise, compression."""
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F

from fiqa_core.base.images import jpeg

_PAD = 8


@cache
def _resampling(resolution: int, size: int, device: str) -> torch.Tensor:
    """Matrix (size, size) that samples a line of pixels down to `resolution` pixels and up again."""
    lines = torch.eye(size)[None, None]
    small = F.interpolate(lines, (resolution, size), mode="bilinear", antialias=True, align_corners=False)
    return F.interpolate(small, (size, size), mode="bilinear", align_corners=False)[0, 0].to(device)


def _focus(defocus: torch.Tensor, size: int) -> torch.Tensor:
    """Matrices (B, size, size) of a Gaussian blur with standard deviations defocus (B,) in pixels."""
    place = torch.arange(size, device=defocus.device, dtype=torch.float32)
    square = (place[:, None] - place[None]) ** 2
    weight = torch.exp(-(square / (2 * defocus[:, None, None].clamp(min=0.05) ** 2)).clamp(max=30))
    return weight / weight.sum(2, keepdim=True)


def blur_and_resample(images: torch.Tensor, defocus: torch.Tensor, resolution: torch.Tensor) -> torch.Tensor:
    """Gaussian blur, then low resolution. Both are separable, so one matrix per image does both axes.

    images (B, 3, S, S); defocus (B,) standard deviation in pixels; resolution (B,) pixels across, S
    leaves the image as it is.
    """
    size = images.shape[-1]
    matrix = torch.eye(size, device=images.device).expand(len(images), -1, -1)
    if (defocus > 0).any():
        matrix = torch.where((defocus > 0)[:, None, None], _focus(defocus, size), matrix)
    sides = [int(round(float(r))) for r in resolution]
    if min(sides) < size:
        device = str(images.device)
        matrix = torch.stack([_resampling(min(side, size), size, device) for side in sides]) @ matrix
    elif not (defocus > 0).any():
        return images
    matrix = matrix.unsqueeze(1)
    return matrix @ images @ matrix.transpose(2, 3)


def motion_blur(images: torch.Tensor, length: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
    """Smear images (B, 3, S, S) along a line of `length` (B,) pixels in `direction` (B,) radians.

    Exact in the frequency domain: a uniform line has the transform sinc(length * frequency along it).
    """
    if not (length > 0).any():
        return images
    padded = F.pad(images, (_PAD,) * 4, mode="replicate")
    side = padded.shape[-1]
    rows = torch.fft.fftfreq(side, device=images.device)[:, None]
    columns = torch.fft.rfftfreq(side, device=images.device)[None]
    along = columns * direction.cos()[:, None, None] + rows * direction.sin()[:, None, None]
    response = torch.sinc(along * length[:, None, None]).unsqueeze(1)
    smeared = torch.fft.irfft2(torch.fft.rfft2(padded) * response, s=(side, side))
    return smeared[..., _PAD:-_PAD, _PAD:-_PAD].clamp(0, 1)


def sensor_noise(images: torch.Tensor, deviation: torch.Tensor, seeds: list[int]) -> torch.Tensor:
    """Add Gaussian noise to images (B, 3, S, S): deviation (B,) in grey values of 0..255.

    Each image has its own seed and its noise is drawn on the CPU: the same on every device and in
    every batch.
    """
    if not (deviation > 0).any():
        return images
    noise = torch.zeros_like(images, device="cpu")
    for i, seed in enumerate(seeds):
        if deviation[i] > 0:
            noise[i] = torch.randn(images.shape[1:], generator=torch.Generator().manual_seed(seed))
    return images + noise.to(images.device) * (deviation / 255)[:, None, None, None]


def compress(pixels: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """JPEG-encode and decode pixels (N, S, S, 3) uint8 RGB at quality (N,); 100 and above: untouched."""
    result = pixels.copy()
    for i in np.flatnonzero(np.asarray(quality) < 100):
        result[i] = jpeg(pixels[i], int(round(float(quality[i]))))
    return result
