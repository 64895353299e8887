"""Cheap degradations of a whole training batch: recognisers meet blur, low resolution and occlusion."""
import torch
from torch.nn import functional as F


def augment(images, rate, generator):
    """Blur, coarsen and cover each image with probability `rate` per kind; 0 changes nothing.

    images (B, 3, H, W) in [0, 1]; the random numbers come from `generator`, on the CPU, so that the
    same seed gives the same batch on every device.
    """
    if rate == 0:
        return images

    def chosen(probability):
        return (torch.rand(len(images), 1, 1, 1, generator=generator) < probability).to(images.device)

    images = torch.where(chosen(rate), blur(images), images)
    images = torch.where(chosen(rate), coarsen(images), images)
    return torch.where(chosen(rate) & box(images, generator), images.mean((1, 2, 3), keepdim=True), images)


def blur(images):
    """Two box filters of 5x5 pixels, close to a Gaussian of 2 pixels."""
    for _ in range(2):
        images = F.avg_pool2d(images, 5, 1, 2, count_include_pad=False)
    return images


def coarsen(images, factor=4):
    """Every factor x factor block replaced by its mean, enlarged bilinearly."""
    small = F.avg_pool2d(images, factor)
    return F.interpolate(small, images.shape[-2:], mode="bilinear")


def box(images, generator):
    """Mask (B, 1, H, W) of one random rectangle per image, each side 20 % to 50 % of the image's."""
    count, _, height, width = images.shape
    centre = torch.rand(2, count, 1, 1, 1, generator=generator)
    half = 0.1 + 0.15 * torch.rand(2, count, 1, 1, 1, generator=generator)
    rows = (torch.arange(height) / height).view(1, 1, height, 1)
    columns = (torch.arange(width) / width).view(1, 1, 1, width)
    mask = ((rows - centre[0]).abs() < half[0]) & ((columns - centre[1]).abs() < half[1])
    return mask.to(images.device)


def mirror_half(pixels, generator):
    """Mirror each uint8 image of pixels (B, H, W, 3) with probability one half, in place; returns them."""
    chosen = torch.rand(len(pixels), generator=generator).numpy() < 0.5
    pixels[chosen] = pixels[chosen, :, ::-1]
    return pixels
