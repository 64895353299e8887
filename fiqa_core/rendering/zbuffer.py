"""Visibility: which point of a surface each pixel sees.

The surface is a closed grid of points. It is refined until neighbouring samples lie closer than a
pixel, every sample is dropped into its pixel, and the nearest to the camera stays (z-buffer: Catmull,
"A subdivision algorithm for computer display of curved surfaces", 1974). One integer holds depth and
sample number, so that a single scatter-minimum does all the work.
"""
import torch
import torch.nn.functional as F

FAR_AWAY = -1000.0  # depth of a pixel that sees nothing, cm
_HOLE = 0.8         # cm behind both neighbours that makes a pixel a hole
_EMPTY = 2 ** 62
_NUMBERS = 2 ** 20  # room for sample numbers below the depth
_NEAR, _FAR, _DEPTH_STEPS = 40.0, -40.0, 2 ** 22


def refine(points: torch.Tensor, factor: int) -> torch.Tensor:
    """Insert linear in-between samples in both directions: (B,C,H,W) -> (B,C,(H-1)*factor,(W-1)*factor)."""
    weight = (torch.arange(factor, device=points.device) + 0.5) / factor
    for dim in (3, 2):
        length = points.shape[dim] - 1
        low, high = points.narrow(dim, 0, length), points.narrow(dim, 1, length)
        shape = [1] * (points.ndim + 1)
        shape[dim + 1] = factor
        fine = torch.addcmul(low.unsqueeze(dim + 1), (high - low).unsqueeze(dim + 1), weight.reshape(shape))
        points = fine.flatten(dim, dim + 1)
    return points


def visible_samples(points: torch.Tensor, size: int, factor: int):
    """Nearest sample of each pixel.

    points (B, 3, H, W): x, y in pixels of a size x size picture (0 is the outer edge of the first
    pixel), z in cm towards the camera.
    Returns (sample, depth), both (B, size, size): sample number in the refined grid (-1: nothing
    there) and z in cm (FAR_AWAY: nothing there).
    """
    height, width = points.shape[2:]
    rows, columns = _needed_part(points, size)
    if rows.start >= rows.stop:
        nothing = points.new_full((len(points), size, size), FAR_AWAY)
        return torch.full_like(nothing, -1, dtype=torch.int64), nothing
    scale = points.new_tensor([1, 1, -_DEPTH_STEPS / (_NEAR - _FAR)])[:, None, None]
    shift = points.new_tensor([1, 1, _NEAR * _DEPTH_STEPS / (_NEAR - _FAR)])[:, None, None]
    fine = refine(points[:, :, rows, columns] * scale + shift, factor)
    # a border of one pixel collects what lies outside, so that nothing has to be sorted out
    x, y = (fine[:, i].clamp_(0, size + 1.5).long() for i in (0, 1))
    pixel = y.mul_(size + 2).add_(x)
    code = fine[:, 2].long().mul_(_NUMBERS).add_(_numbers(rows, columns, factor, width, points.device))
    nearest = code.new_full((len(points), (size + 2) ** 2), _EMPTY)
    nearest.scatter_reduce_(1, pixel.flatten(1), code.flatten(1), "amin")
    return _close_pinholes(*_decode(nearest.reshape(-1, size + 2, size + 2)[:, 1:-1, 1:-1]))


def _needed_part(points, size):
    """Rows and columns of the grid with points that face the camera and lie in the picture.

    Holds for the whole batch; what it leaves out could not be seen, so the result does not depend on it.
    """
    flat = points[:, :2]
    right, down = flat[..., 1:, 1:] - flat[..., 1:, :-1], flat[..., 1:, 1:] - flat[..., :-1, 1:]
    facing = F.pad(right[:, 0] * down[:, 1] - right[:, 1] * down[:, 0], (0, 1, 0, 1), mode="replicate") > 0
    inside = ((flat > -9) & (flat < size + 9)).all(1)
    wanted = (facing & inside).any(0)
    return tuple(_span(wanted.any(axis)) for axis in (1, 0))


def _span(used):
    """Slice from the first to the last True of `used`, one wider on both sides."""
    where = used.nonzero()
    if len(where) == 0:
        return slice(0, 0)
    return slice(max(int(where[0]) - 2, 0), min(int(where[-1]) + 3, len(used)))


def _numbers(rows, columns, factor, width, device):
    """Sample numbers of a part of the refined grid, counted over the whole grid."""
    row = torch.arange(rows.start * factor, (rows.stop - 1) * factor, device=device)
    column = torch.arange(columns.start * factor, (columns.stop - 1) * factor, device=device)
    return row[:, None] * ((width - 1) * factor) + column


def _decode(nearest):
    empty = nearest == _EMPTY
    depth = _NEAR - (nearest >> 20).float() * ((_NEAR - _FAR) / _DEPTH_STEPS)
    return (nearest & (_NUMBERS - 1)).masked_fill(empty, -1), depth.masked_fill(empty, FAR_AWAY)


def _close_pinholes(sample, depth):
    """Give a pixel that lies far behind its neighbours on opposite sides the sample of one of them.

    Where a surface is seen at a grazing angle, its samples may leave single pixels open.
    """
    for axis in (1, 2):
        length = depth.shape[axis]
        before, here, after = (depth.narrow(axis, k, length - 2) for k in range(3))
        hole = here < torch.minimum(before, after) - _HOLE
        middle = sample.narrow(axis, 1, length - 2)
        middle.copy_(torch.where(hole, sample.narrow(axis, 0, length - 2), middle))
        here.copy_(torch.where(hole, before, here))
    return sample, depth


def surface_coordinates(sample: torch.Tensor, height: int, width: int, factor: int) -> torch.Tensor:
    """Position on the surface of each sample number: (..., 2), x and y in -1..1 over a grid of height x
    width points, as `torch.nn.functional.grid_sample(align_corners=True)` expects."""
    columns = (width - 1) * factor
    sample = sample.clamp(min=0)
    row = torch.div(sample, columns, rounding_mode="floor")
    column = (sample - row * columns + 0.5) * (2 / columns) - 1
    return torch.stack([column, (row + 0.5) * (2 / ((height - 1) * factor)) - 1], -1)
