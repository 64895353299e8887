"""Visibility: which point of a surface each pixel sees.

The surface is a closed grid of points. It is refined until neighbouring samples lie closer than a
pixel, every sample is dropped into its pixel, and the nearest to the camera stays (z-buffer, Catmull
1974). One integer holds depth and sample number, so that one scatter-minimum does all the work.
"""
import torch

EMPTY = 2 ** 62
FAR_AWAY = -1000.0  # depth of a pixel that sees nothing, cm
_HOLE = 0.8         # cm behind both neighbours that makes a pixel a hole
_SAMPLE_BITS, _DEPTH_STEPS = 20, 2 ** 24
_NEAR, _FAR = 40.0, -40.0  # z in cm that the depth code covers


def refine(points: torch.Tensor, factor: int) -> torch.Tensor:
    """Insert factor-1 linear in-between samples in both directions: (B,C,H,W) -> (B,C,(H-1)f,(W-1)f)."""
    weight = (torch.arange(factor, device=points.device) + 0.5) / factor
    for dim in (3, 2):
        length = points.shape[dim] - 1
        low, high = points.narrow(dim, 0, length), points.narrow(dim, 1, length)
        shape = [1] * (points.ndim + 1)
        shape[dim + 1] = factor
        fine = low.unsqueeze(dim + 1) + (high - low).unsqueeze(dim + 1) * weight.reshape(shape)
        points = fine.flatten(dim, dim + 1)
    return points


def visible_samples(points: torch.Tensor, size: int, factor: int, keep: torch.Tensor | None = None):
    """Nearest sample of each pixel.

    points (B, 3, H, W): x, y in pixels of a size x size picture (0 is the outer edge of the first
    pixel), z in cm towards the camera. keep: (B, (H-1)*factor, (W-1)*factor) bool, samples that exist.
    Returns (sample, depth), both (B, size, size): sample number in the refined grid (-1: nothing
    there) and z in cm (FAR_AWAY: nothing there).
    """
    fine = refine(points, factor)
    batch = len(fine)
    x, y, z = (fine[:, i].reshape(batch, -1) for i in range(3))
    inside = (x >= 0) & (x < size) & (y >= 0) & (y < size)
    if keep is not None:
        inside &= keep.reshape(batch, -1)
    pixel = torch.where(inside, y.int() * size + x.int(), size * size).long()
    code = ((_NEAR - z) * (_DEPTH_STEPS / (_NEAR - _FAR))).long() << _SAMPLE_BITS
    code |= torch.arange(code.shape[1], device=code.device)
    nearest = code.new_full((batch, size * size + 1), EMPTY).scatter_reduce_(1, pixel, code, "amin")
    nearest = nearest[:, :-1].reshape(batch, size, size)
    empty = nearest == EMPTY
    sample = torch.where(empty, -1, nearest & (2 ** _SAMPLE_BITS - 1))
    depth = _NEAR - (nearest >> _SAMPLE_BITS).float() * ((_NEAR - _FAR) / _DEPTH_STEPS)
    return _close_pinholes(sample, depth.masked_fill(empty, FAR_AWAY))


def _close_pinholes(sample, depth):
    """Give a pixel that lies far behind both neighbours on opposite sides the nearer neighbour's sample.

    Where a surface is seen at a grazing angle, its samples may leave single pixels open.
    """
    for axis in (1, 2):
        length = depth.shape[axis]
        before, here, after = (depth.narrow(axis, k, length - 2) for k in range(3))
        hole = here < torch.minimum(before, after) - _HOLE
        first = sample.narrow(axis, 0, length - 2)
        sample.narrow(axis, 1, length - 2).copy_(torch.where(hole, first, sample.narrow(axis, 1, length - 2)))
        here.copy_(torch.where(hole, before, here))
    return sample, depth


def surface_coordinates(sample: torch.Tensor, height: int, width: int, factor: int) -> torch.Tensor:
    """Position on the surface of each sample number: (..., 2), x and y in -1..1 over a grid of height x
    width points, as `torch.nn.functional.grid_sample(align_corners=True)` expects."""
    columns = (width - 1) * factor
    sample = sample.clamp(min=0)
    column = (sample % columns + 0.5) * (2 / columns) - 1
    row = (torch.div(sample, columns, rounding_mode="floor") + 0.5) * (2 / ((height - 1) * factor)) - 1
    return torch.stack([column, row], -1)
