"""Camera: head pose, perspective and the five-point alignment that photographs go through as well."""
import torch

from fiqa_core.benchmarks.alignment import ARCFACE_TEMPLATE
from fiqa_core.rendering.head import average_head

PIVOT = (0.0, 3.0, 1.0)  # the head turns about the top of the neck, cm
DISTANCE = 75.0          # camera to pivot, cm, unless told otherwise: a portrait distance


def rotation(yaw: torch.Tensor, pitch: torch.Tensor, roll: torch.Tensor) -> torch.Tensor:
    """Rotation matrices (B, 3, 3) of a head in the frame x right, y down, z towards the camera.

    Angles (B,) in degrees. Yaw > 0 turns the nose to the right of the picture, pitch > 0 raises it,
    roll > 0 turns the head clockwise in the picture. Roll is applied last.
    """
    a, b, c = (torch.deg2rad(v) for v in (yaw, pitch, roll))
    zero, one = torch.zeros_like(a), torch.ones_like(a)

    def matrix(*entries):
        return torch.stack(entries, -1).reshape(-1, 3, 3)

    turn = matrix(a.cos(), zero, a.sin(), zero, one, zero, -a.sin(), zero, a.cos())
    nod = matrix(one, zero, zero, zero, b.cos(), -b.sin(), zero, b.sin(), b.cos())
    tilt = matrix(c.cos(), -c.sin(), zero, c.sin(), c.cos(), zero, zero, zero, one)
    return tilt @ nod @ turn


def turn_head(points: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Rotate points (B, 3, ...) about the neck by matrix (B, 3, 3)."""
    pivot = torch.tensor(PIVOT, device=points.device)[None, :, None]
    flat = points.flatten(2) - pivot
    return (matrix @ flat + pivot).reshape(points.shape)


def project(points: torch.Tensor, distance: torch.Tensor | None = None) -> torch.Tensor:
    """Perspective projection of points (B, 3, ...) in cm: (B, 2, ...) in cm at the pivot's distance (B,)."""
    distance = DISTANCE if distance is None else distance.reshape(-1, *[1] * (points.ndim - 1))
    return points[:, :2] * (distance / (distance - points[:, 2:3]))


def landmarks(points: torch.Tensor, distance: torch.Tensor | None = None) -> torch.Tensor:
    """Projected landmarks (B, 5, 2) of turned heads (B, 3, ROWS, COLUMNS), exact also when hidden."""
    cells = average_head().landmark_cells.to(points.device)
    row, column = cells.floor().long().unbind(1)
    down, right = (cells - cells.floor()).unbind(1)
    corner = [points[:, :, row + i, column + j] for i in (0, 1) for j in (0, 1)]
    top, bottom = torch.lerp(corner[0], corner[1], right), torch.lerp(corner[2], corner[3], right)
    return project(torch.lerp(top, bottom, down), distance).transpose(1, 2)


def alignment(source: torch.Tensor, target: torch.Tensor | None = None) -> torch.Tensor:
    """Least-squares similarity (B, 2, 3) that maps source points (B, 5, 2) onto the ArcFace template.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns" (PAMI
    1991). In two dimensions and without reflection it is a regression of complex numbers:
    target = factor * source + offset with factor = sum(conj(s) t) / sum(|s|^2) of the centred points.
    """
    if target is None:
        target = torch.as_tensor(ARCFACE_TEMPLATE, dtype=torch.float32, device=source.device)
    target = target.expand(len(source), -1, -1)
    s = torch.complex(*source.unbind(-1))
    t = torch.complex(*target.unbind(-1))
    s_mean, t_mean = s.mean(1, keepdim=True), t.mean(1, keepdim=True)
    s, t = s - s_mean, t - t_mean
    factor = (s.conj() * t).sum(1, keepdim=True) / (s.abs() ** 2).sum(1, keepdim=True)
    offset = t_mean - factor * s_mean
    a, b = factor.real, factor.imag
    return torch.stack([torch.cat([a, -b, offset.real], 1), torch.cat([b, a, offset.imag], 1)], 1)


def to_crop(points: torch.Tensor, similarity: torch.Tensor,
            distance: torch.Tensor | None = None) -> torch.Tensor:
    """Turned points (B, 3, ...) -> (B, 3, ...): pixels x, y of the 112 crop, and depth z in cm."""
    flat = project(points, distance).flatten(2)
    pixels = similarity[:, :, :2] @ flat + similarity[:, :, 2:]
    return torch.cat([pixels, points[:, 2:].flatten(2)], 1).reshape(points.shape)
