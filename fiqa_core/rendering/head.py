"""The average head as a closed grid of points, and the landmarks on it.

Units are centimetres. The origin lies between the ears at eye level; x points to the right of the
picture, y down, z towards the camera. Rows of the grid run from the crown over the face and below the
jaw to the foot of the neck; columns run round the head once, with the face in the middle columns.
`face_x`, `face_y` of a point never change: features, colours and landmarks are attached to them.
"""
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

ROWS, COLUMNS = 160, 152
EYE, NOSE_TIP, MOUTH_CORNER = (3.15, 0.0), (0.0, 3.75), (2.6, 7.3)
LANDMARKS = ((-3.15, 0.0), (3.15, 0.0), NOSE_TIP, (-2.6, 7.3), (2.6, 7.3))  # order of the ArcFace template

# Rings from the crown to the foot of the neck. front: height of the ring at the face; drop: how much higher
# its side is (the jaw line rises towards the ear); half width; depth in front of and behind the ear axis;
# rows: grid rows spent before the next ring (many where nose and mouth bend sharply); square: exponent of the
# superellipse.
_RINGS = np.array([
    # front   drop  width  depth   back  square rows
    [-12.0,   0.0,   0.05,  0.05,   0.05,  2.0,  0],
    [-11.6,   0.0,   2.50,  2.90,   3.30,  2.0,  6],
    [-10.2,   0.0,   4.90,  5.60,   6.30,  2.0,  8],
    [ -7.6,   0.0,   6.70,  8.15,   8.70,  2.1,  9],
    [ -4.8,   0.0,   7.40,  9.20,   9.80,  2.2, 10],
    [ -2.4,   0.0,   7.55,  9.60,   9.90,  2.25,11],
    [ -1.0,   0.0,   7.50,  9.55,   9.70,  2.2,  8],
    [  0.0,   0.0,   7.45,  9.25,   9.50,  2.2,  6],
    [  1.5,   0.3,   7.35,  9.20,   9.10,  2.2,  8],
    [  3.3,   0.8,   7.15,  9.30,   8.60,  2.2, 10],
    [  4.2,   1.2,   7.12,  9.35,   8.20,  2.2,  9],
    [  5.2,   1.6,   7.05,  9.40,   7.70,  2.15,12],
    [  6.4,   2.2,   6.75,  9.45,   7.20,  2.1,  8],
    [  7.15,  2.6,   6.62,  9.45,   6.90,  2.1,  6],
    [  7.45,  2.76,  6.56,  9.42,   6.80,  2.1,  9],
    [  8.4,   3.2,   6.25,  9.35,   6.60,  2.1,  7],
    [  9.5,   3.8,   5.82,  9.15,   6.50,  2.1,  7],
    [ 10.6,   4.4,   5.35,  8.95,   6.40,  2.1,  7],
    [ 11.2,   4.6,   5.20,  8.20,   6.30,  2.1,  5],
    [ 11.6,   4.0,   4.95,  6.60,   6.20,  2.0,  6],
    [ 12.6,   2.4,   4.75,  4.10,   6.10,  2.0,  8],
    [ 15.5,   0.6,   5.00,  3.20,   6.20,  2.0,  7],
    [ 18.0,   0.0,   5.60,  3.60,   6.40,  2.0,  6],
    [ 21.0,   0.0,   6.60,  4.20,   7.00,  2.0,  6],
    [ 25.0,   0.0,   8.00,  5.00,   8.00,  2.0,  6],
])


@dataclass(frozen=True)
class Head:
    """points (3, ROWS, COLUMNS) cm; face_x, face_y, front (ROWS, COLUMNS): position on the average
    face in cm and 1 on the face side, 0 behind; angle round the head in radians; landmark_cells
    (5, 2) fractional row and column of the five landmarks."""

    points: torch.Tensor
    face_x: torch.Tensor
    face_y: torch.Tensor
    front: torch.Tensor
    angle: torch.Tensor
    landmark_cells: torch.Tensor


def hill(distance):
    """exp(-distance) for distance >= 0, cut where it is 1e-13: far smaller floats are slow to handle."""
    return torch.exp(-distance.clamp(max=30))


def bump(x, y, centre, width):
    """Gaussian hill of height 1 about `centre` with standard deviations `width`, all (x, y) in cm."""
    return hill(0.5 * (((x - centre[0]) / width[0]) ** 2 + ((y - centre[1]) / width[1]) ** 2))


def both(x, y, centre, width):
    """The same hill on the left and on the right side of the face."""
    return bump(x, y, centre, width) + bump(x, y, (-centre[0], centre[1]), width)


def step(value, edge, width):
    """0 below `edge`, 1 above, a smooth rise of about `width` cm between."""
    return torch.sigmoid((value - edge) / (width / 4))


def lip_span(x):
    """1 between the corners of the mouth, 0 outside."""
    return hill((x.abs() / 2.65) ** 6)


def nose_relief(x, y):
    """Height in cm of the average nose above the face at face coordinates x, y."""
    bridge = (0.40 + 1.55 * ((y + 0.6) / 4.6).clamp(0, 1.1)) * step(y, -0.8, 2.0) * (1 - step(y, 4.72, 1.1))
    half_width = 0.72 + 0.09 * y.clamp(0, 4.2)
    ridge = bridge * hill((x.abs() / half_width) ** 2.0)
    wings = 0.95 * both(x, y, (1.25, 4.2), (0.48, 0.50))
    return ridge + wings + 0.35 * bump(x, y, (0, 4.05), (0.72, 0.55))


def relief(x, y):
    """Height in cm of all features of the average face above the smooth head."""
    sockets = -1.30 * both(x, y, (3.0, -0.15), (1.45, 0.90)) + 0.80 * both(x, y, EYE, (0.95, 0.60))
    brows = 0.42 * both(x, y, (2.9, -2.0), (2.0, 0.75))
    cheeks = 0.55 * both(x, y, (4.7, 2.9), (1.7, 1.6)) - 0.25 * both(x, y, (4.6, 6.8), (1.3, 1.5))
    lips = 0.42 * bump(x, y, (0, 6.8), (1.7, 0.40)) + 0.55 * bump(x, y, (0, 7.95), (1.5, 0.48))
    gap = -0.32 * bump(x, y, (0, 7.3), (9, 0.15))
    mouth = lip_span(x) * (lips + gap) - 0.20 * both(x, y, MOUTH_CORNER, (0.4, 0.4))
    muzzle = 0.45 * bump(x, y, (0, 7.0), (2.3, 1.5))
    chin = 0.75 * bump(x, y, (0, 10.5), (1.7, 0.95)) - 0.25 * bump(x, y, (0, 9.15), (1.6, 0.45))
    philtrum = -0.12 * bump(x, y, (0, 5.8), (0.3, 0.6))
    return nose_relief(x, y) + sockets + brows + cheeks + mouth + muzzle + chin + philtrum


def _ring_table() -> np.ndarray:
    """The rings, interpolated smoothly to one line per grid row."""
    from scipy.interpolate import PchipInterpolator

    knots = np.cumsum(_RINGS[:, 6])
    rows = np.linspace(0, knots[-1], ROWS)
    return PchipInterpolator(knots, _RINGS[:, :6])(rows)


def _smooth_head(angle: torch.Tensor) -> torch.Tensor:
    """Points (3, ROWS, COLUMNS) of the head without features: superellipses stacked on each other."""
    front, drop, width, depth, back, square = (
        torch.as_tensor(c, dtype=torch.float32)[:, None] for c in _ring_table().T)
    sine, cosine = angle.sin()[None], angle.cos()[None]
    reach = torch.where(cosine > 0, depth, back)
    radius = ((sine.abs() / width) ** square + (cosine.abs() / reach) ** square) ** (-1 / square)
    y = front - drop * (1 - cosine)
    return torch.stack([radius * sine, y.expand_as(radius), radius * cosine])


def _column_angles() -> torch.Tensor:
    """Angles (COLUMNS,) from -pi to pi round the head: densest on the nose, sparse behind the ears."""
    fine = torch.linspace(-torch.pi, torch.pi, 4001)
    density = 0.40 + torch.sigmoid((2.1 - fine.abs()) / 0.1) + 0.9 * hill((fine / 0.28) ** 2)
    share = torch.cumulative_trapezoid(density, fine)
    share = torch.cat([share.new_zeros(1), share]) / share[-1]
    return torch.as_tensor(np.interp(np.linspace(0, 1, COLUMNS), share.numpy(), fine.numpy()),
                           dtype=torch.float32)


@cache
def average_head() -> Head:
    """The average head on the CPU, computed once per process."""
    angle = _column_angles()
    points = _smooth_head(angle)
    x, y = points[0].clone(), points[1].clone()
    front = torch.sigmoid((points[2] - 3.0) / 0.6)
    points[2] += front * relief(x, y)
    _add_ears(points, y, angle)
    return Head(points, x, y, front, angle.expand(ROWS, COLUMNS), _cells(x, y, front))


def ear_shape(y, angle):
    """1 on the rim of the ear, falling to 0 around it."""
    behind = (angle.abs() - 1.72) / 0.16
    along = (y - 0.9) / 2.6
    return hill(behind ** 4 + along ** 4)


def _add_ears(points, y, angle):
    """Push the ears out sideways and back, hollow in the middle."""
    ear = ear_shape(y, angle)
    hollow = hill(((angle.abs() - 1.68) / 0.09) ** 2 + ((y - 0.7) / 1.3) ** 2)
    points[0] += angle.sign() * (1.25 * ear - 0.7 * hollow)
    points[2] -= 0.9 * ear


def _cells(x, y, front) -> torch.Tensor:
    """Fractional (row, column) of the landmarks: the nearest point, refined by one Newton step."""
    cells = []
    for u, v in LANDMARKS:
        distance = (x - u) ** 2 + (y - v) ** 2 + 100 * (front < 0.5)
        r, c = divmod(int(distance.argmin()), COLUMNS)
        jacobian = torch.tensor([[x[r + 1, c] - x[r - 1, c], x[r, c + 1] - x[r, c - 1]],
                                 [y[r + 1, c] - y[r - 1, c], y[r, c + 1] - y[r, c - 1]]]) / 2
        miss = torch.stack([u - x[r, c], v - y[r, c]])
        cells.append(torch.tensor([r, c]) + torch.linalg.solve(jacobian, miss).clamp(-0.9, 0.9))
    return torch.stack(cells)
