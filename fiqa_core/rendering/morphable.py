"""Displacement fields that turn the average head into a person, with an expression and an age.

Every field is a function of the position on the average face (cm) and is multiplied by one number:
a standard normal identity parameter, or an expression between 0 and 1. A field is written as
(dx, dy, dz) in cm for the value 1; `side` is -1 on the left of the picture and +1 on the right.
"""
from functools import cache

import torch

from fiqa_core.rendering.head import average_head, both, bump, ear_shape, hill, step
from fiqa_core.rendering.identity import SHAPE

EXPRESSIONS = ("mouth_open", "smile", "ageing", "hair_volume", "hair_length", "hair_curl", "masculine")


_MASCULINE = {"brow_ridge": 1.2, "jaw_width": 0.5, "jaw_corner": 0.6, "chin_height": 0.4, "chin_width": 0.5,
              "nose_width": 0.3, "nose_depth": 0.4, "upper_lip": -0.5, "lower_lip": -0.4, "eye_size": -0.6,
              "eye_opening": -0.5, "neck_width": 0.9, "cheek_hollow": 0.3, "head_width": 0.2}


def _frame():
    head = average_head()
    x, y = head.face_x, head.face_y
    return head, x, y, x.sign() * (1 - hill((x / 0.4) ** 2)), head.front


def _skull_fields() -> dict:
    head, x, y, side, front = _frame()
    px, py, pz = head.points
    upper, lower = 1 - step(y, -1.0, 5.0), step(y, 4.0, 5.0)
    body = 1 - step(y, 13.0, 4.0)
    return {
        "head_width": (0.045 * px * body, 0, 0),
        "head_height": (0, 0.030 * py * body, 0),
        "head_depth": (0, 0, 0.030 * pz * body),
        "temple_width": (0.045 * px * hill(((y + 3.5) / 3) ** 2), 0, 0),
        "forehead_slope": (0, 0, 0.35 * front * hill(((y + 6) / 2.4) ** 2)),
        "brow_ridge": (0, 0, 0.16 * front * both(x, y, (2.2, -1.9), (2.4, 0.8))),
        "neck_width": (0.07 * px * step(y, 11.6, 2.0) * body, 0, 0),
        "ear_size": (0.28 * side * ear_shape(y, head.angle), 0, -0.15 * ear_shape(y, head.angle)),
        "ear_angle": (0.30 * side * ear_shape(y, head.angle), 0, 0.30 * ear_shape(y, head.angle)),
        "asymmetry": (0.14 * front * lower, 0.05 * x * front * (lower - upper) * 0.6, 0),
    }


def _jaw_fields() -> dict:
    head, x, y, side, front = _frame()
    px = head.points[0]
    body = 1 - step(y, 13.0, 4.0)
    jaw = step(y, 4.5, 5.0) * body
    corner = both(x, y, (5.6, 7.6), (1.3, 1.8))
    cheeks = both(x, y, (4.2, 5.2), (1.5, 1.7))
    chin = bump(x, y, (0, 10.6), (2.0, 1.4))
    return {
        "cheekbone_width": (0.28 * side * both(x, y, (6.3, 2.4), (1.6, 1.9)), 0, 0),
        "cheekbone_depth": (0, 0, 0.22 * front * both(x, y, (4.4, 2.8), (1.6, 1.4))),
        "cheek_fullness": (0.34 * side * cheeks, 0, 0.36 * front * cheeks),
        "jaw_width": (0.075 * px * jaw, 0, 0),
        "jaw_corner": (0.42 * side * corner, 0.30 * corner, 0),
        "chin_height": (0, 0.45 * step(y, 8.3, 2.6) * body, 0),
        "chin_depth": (0, 0, 0.36 * chin),
        "chin_width": (0.32 * side * both(x, y, (2.2, 10.7), (1.3, 1.1)), 0, 0),
        "face_breadth": (0.048 * px * hill(((y - 3.5) / 6.5) ** 4), 0, 0),
        "face_length": (0, 0.045 * (y - 3.5) * body * front, 0),
        "cheek_hollow": (0, 0, -0.30 * front * both(x, y, (4.7, 5.8), (1.3, 1.8))),
        "chin_cleft": (0, 0, -0.13 * bump(x, y, (0, 10.4), (0.30, 0.7))),
    }


def _nose_fields() -> dict:
    _, x, y, side, front = _frame()
    nose = hill((x.abs() / 1.5) ** 4)
    ridge = hill((x.abs() / 0.85) ** 2.2)
    tip = bump(x, y, (0, 4.0), (0.9, 0.8))
    wings = both(x, y, (1.3, 4.2), (0.6, 0.7))
    length = nose * step(y, 1.0, 3.0) * (1 - step(y, 5.2, 1.0))
    return {
        "nose_length": (0, 0.351 * length, 0),
        "nose_bridge": (0, 0, 0.27 * ridge * bump(x, y, (0, 0.6), (2, 1.4))),
        "nose_depth": (0, 0, 0.351 * ridge * ((y + 0.5) / 4.5).clamp(0, 1) * (1 - step(y, 4.9, 0.8))),
        "nose_tip_tilt": (0, -0.324 * tip, 0.135 * tip),
        "nose_width": (0.27 * side * wings, 0, 0.081 * wings),
        "nose_bridge_width": (0.149 * side * both(x, y, (0.8, 1.6), (0.5, 1.4)), 0,
                              0.162 * front * both(x, y, (0.85, 1.4), (0.4, 1.4))),
        "nose_hump": (0, 0, 0.23 * ridge * bump(x, y, (0, 1.9), (2, 0.8))),
        "nose_tip_size": (0.189 * side * both(x, y, (0.5, 4.0), (0.4, 0.6)), 0, 0.162 * tip),
    }


def _eye_fields() -> dict:
    _, x, y, side, front = _frame()
    region = both(x, y, (3.1, -0.6), (1.7, 1.5))
    narrow = both(x, y, (3.15, 0), (1.6, 0.9))
    offset_x = x - 3.15 * x.sign()
    return {"eye_spacing": (0.216 * side * region, 0, 0), "eye_size": (0.101 * offset_x * narrow, 0, 0),
            "eye_opening": (0, 0.176 * y * narrow, 0), "eye_tilt": (0, -0.115 * offset_x * side * narrow, 0),
            "eye_depth": (0, 0, -0.27 * front * region), "eye_height": (0, 0.27 * front * region, 0)}


def _mouth_fields() -> dict:
    _, x, y, _, front = _frame()
    region = bump(x, y, (0, 7.4), (2.6, 1.3))
    upper, lower = bump(x, y, (0, 6.8), (1.8, 0.4)), bump(x, y, (0, 8.0), (1.7, 0.45))
    return {
        "mouth_width": (0.115 * x * region, 0, 0),
        "mouth_height": (0, 0.297 * front * region, 0),
        "upper_lip": (0, -0.216 * bump(x, y, (0, 6.55), (2.0, 0.45)), 0.149 * upper),
        "lower_lip": (0, 0.243 * bump(x, y, (0, 8.35), (1.8, 0.5)), 0.176 * lower),
        "lip_depth": (0, 0, 0.27 * region),
    }


def _expression_fields() -> dict:
    head, x, y, side, front = _frame()
    px, _, pz = head.points
    angle = head.angle.abs()
    within_mouth = hill((x.abs() / 2.45).clamp(min=0) ** 4)
    below_lips = step(y, 7.3, 0.30) * within_mouth + step(y, 7.8, 1.6) * (1 - within_mouth)
    jaw = below_lips * hill((x / 5.5) ** 4) * (1 - step(y, 12.0, 2.5)) * front
    corners = both(x, y, (2.5, 7.2), (0.9, 0.9))
    apples = both(x, y, (3.9, 4.3), (1.3, 1.1))
    jowls = both(x, y, (4.0, 8.8), (1.4, 1.3))
    folds = both(x, y, (2.7, 6.0), (0.35, 1.3))
    rough = torch.randn(1, 1, 40, 48, generator=torch.Generator().manual_seed(7))
    rough = torch.nn.functional.interpolate(rough, x.shape, mode="bicubic", align_corners=True)[0, 0]
    sides = step(angle, 1.30, 0.3) * (1 - step(y, -0.8, 2.5))
    sides = sides + step(angle, 1.9, 0.3) * (1 - step(y, 5.0, 4.0))
    hair = torch.maximum(1 - step(y, -6.0, 1.6), sides.clamp(max=1))
    curtain = step(angle, 1.58, 0.50) * step(y, -3.0, 4.0) * (1 - step(y, 19.0, 3.0))
    fall = (9.5 - px.abs()).clamp(min=0)  # long hair hangs straight down from the widest part of the skull
    return {
        "mouth_open": (0, 1.9 * jaw, -0.5 * jaw),
        "smile": (0.65 * side * corners, -0.80 * corners - 0.30 * apples, 0.50 * apples - 0.20 * corners),
        "ageing": (0.10 * side * jowls, 0.55 * jowls + 0.15 * both(x, y, (3.4, 4), (1.6, 1.8)),
                   0.15 * jowls - 0.16 * folds - 0.12 * both(x, y, (3, 1.2), (1.0, 0.4))),
        "hair_volume": (0.085 * px * hair, -0.85 * hair * (1 - step(y, -6.0, 5.0)), 0.07 * pz * hair),
        "hair_curl": (0.45 * side * rough * hair, -0.35 * rough * (1 - step(y, -6.0, 3.0)), 0),
        "hair_length": (fall * head.angle.sign() * curtain, 0, -0.4 * curtain * (1 - front)),
    }


@cache
def basis(names: tuple, device: str) -> torch.Tensor:
    """Displacement fields as one matrix (len(names), 3*ROWS*COLUMNS) float32, in cm per unit."""
    fields = _skull_fields() | _jaw_fields() | _nose_fields() | _eye_fields() | _mouth_fields()
    fields |= _expression_fields()
    fields["masculine"] = [sum(weight * fields[name][axis] for name, weight in _MASCULINE.items())
                           for axis in range(3)]
    flat = torch.zeros_like(average_head().face_x)
    rows = [torch.stack([part + flat for part in fields[name]]).reshape(-1) for name in names]
    return torch.stack(rows).to(device)


def person_points(shape: torch.Tensor) -> torch.Tensor:
    """Points (B, 3, ROWS, COLUMNS) in cm of B persons with shape parameters (B, len(SHAPE)).

    One product per person: a product of several rows may round differently for each number of rows.
    """
    head = average_head().points.to(shape.device)
    fields = basis(SHAPE, str(shape.device))
    return torch.stack([(head.reshape(-1) + person @ fields).reshape(head.shape) for person in shape])


def express(points: torch.Tensor, expression: torch.Tensor) -> torch.Tensor:
    """Give persons (B, 3, ROWS, COLUMNS) expressions (B, len(EXPRESSIONS)): 0..1 each; the ageing and
    the hair may be any small number."""
    fields = basis(EXPRESSIONS, str(points.device)).reshape(-1, 1, *points.shape[1:])
    for field, weight in zip(fields, expression.unbind(1)):
        points = torch.addcmul(points, weight[:, None, None, None], field)
    return points
