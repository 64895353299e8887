"""Things in front of the face: glasses, mask and hat as shells around the head, a hand or bar in the
picture plane. Shells move with the head and are hidden by it where the head is nearer to the camera."""
from functools import cache

import torch
import torch.nn.functional as F

from fiqa_core.rendering.canvas import canvas
from fiqa_core.rendering.head import average_head, bump, hill, relief, step

SHELLS = ("mask", "glasses", "hat")  # drawn in this order
_FABRIC = torch.tensor([[0.45, 0.60, 0.68], [0.75, 0.75, 0.75], [0.03, 0.03, 0.04], [0.12, 0.16, 0.35],
                        [0.40, 0.06, 0.06], [0.10, 0.25, 0.14], [0.35, 0.30, 0.22]])


@cache
def _shell_offset(kind: str) -> torch.Tensor:
    """Displacement (3, ROWS, COLUMNS) in cm from the average head to the shell."""
    head = average_head()
    x, y, front = head.face_x, head.face_y, head.front
    outwards = F.normalize(head.points * torch.tensor([1.0, 0.25, 1.0])[:, None, None], dim=0)
    if kind == "hat":
        return outwards * (1.5 + 0.25 * step(y, -5.0, 1.0)) * (1 - step(y, 0.0, 2.0))
    smooth = -relief(x, y) * front  # a shell bridges hollows: start from the head without features
    if kind == "mask":
        cover = 0.6 + 2.0 * bump(x, y, (0, 4.6), (1.6, 1.9)) + 0.7 * bump(x, y, (0, 9.0), (2.4, 2.4))
        smooth = smooth + (0.5 + cover) * front
    else:
        smooth = smooth + (0.75 + 0.9 * bump(x, y, (0, 0.6), (0.9, 1.8))) * front
    flat = torch.zeros_like(x)
    return torch.stack([flat, flat, smooth]) + 0.4 * outwards * (1 - front) * (kind == "glasses")


def shell_points(kind: str, points: torch.Tensor) -> torch.Tensor:
    """Shell of one kind around heads given by points (B, 3, ROWS, COLUMNS), before they are turned."""
    return points + _shell_offset(kind).to(points.device)


def shell_texture(kind: str, amount: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
    """Colour and opacity (B, 4, HEIGHT, WIDTH) of a shell; amount (B,) as in nuisance.CAUSES, style
    (B, K) uniform random numbers that choose colour and cut."""
    c = canvas(str(amount.device))
    amount = amount[:, None, None]
    paint = {"mask": _mask, "glasses": _glasses, "hat": _hat}[kind]
    return paint(c.x, c.y, c.angle, amount, style)


def _fabric(style):
    palette = _FABRIC.to(style.device)
    cloth = palette[(style[:, 0] * len(palette)).long()] * (0.8 + 0.4 * style[:, 1:2])
    return cloth[:, :, None, None]


def _mask(x, y, angle, amount, style):
    top = 4.2 - 2.6 * amount + 0.10 * x.abs() ** 1.25
    cloth = step(y, top, 0.15) * (1 - step(y, 12.2, 0.5)) * (1 - step(angle.abs(), 1.15, 0.06))
    straps = hill(((y - 2.0) / 0.16) ** 2) + hill(((y - 6.5 + 3.0 * (angle.abs() - 1.1)) / 0.16) ** 2)
    straps = straps * (angle.abs() > 1.1) * (angle.abs() < 1.75)
    pleats = 1 - 0.10 * hill(((torch.remainder(y - top, 1.9) - 0.95) / 0.18) ** 2)
    alpha = torch.maximum(cloth, straps.expand_as(cloth)).clamp(0, 1)
    return torch.cat([_fabric(style) * pleats.unsqueeze(1), alpha.unsqueeze(1)], 1)


def _glasses(x, y, angle, amount, style):
    power = 2.2 + 3.0 * style[:, 2, None, None]
    height = 1.45 + 0.55 * style[:, 3, None, None]
    across, up = ((x.abs() - 3.25) / 2.35).abs(), ((y - 0.25) / height).abs()
    distance = (across ** power + up ** power + 1e-9) ** (1 / power)
    front = angle.abs() < 1.1
    lens = (1 - step(distance, 0.95, 0.08)) * front
    width = 0.05 + 0.05 * style[:, 4, None, None]
    rim = hill(((distance - 1) / width) ** 2) * front
    bridge = hill(((y + 0.35 + 0.25 * (x / 0.8) ** 2) / 0.17) ** 2) * (x.abs() < 1.05) * front
    arms = hill(((y + 0.55) / 0.20) ** 2) * (x.abs() > 5.4) * (angle.abs() < 1.66)
    frame = torch.maximum(rim, torch.maximum(bridge, arms).expand_as(rim))
    colour = torch.where((frame > 0.4).unsqueeze(1), 0.35 * _fabric(style), 0.02)
    return torch.cat([colour, torch.maximum(frame, lens * amount).unsqueeze(1)], 1)


def _hat(x, y, angle, amount, style):
    edge = -4.9 + 2.7 * amount + 0.035 * x ** 2 - 0.6 * (angle.abs() - 1.6).clamp(min=0)
    alpha = 1 - step(y, edge, 0.12)
    brim = 1 - 0.35 * step(y, edge - 1.5, 0.15)
    knit = 1 + 0.12 * torch.sin(angle * 60)
    return torch.cat([_fabric(style) * (brim * knit).unsqueeze(1), alpha.unsqueeze(1)], 1)


def bar_cover(amount: torch.Tensor, style: torch.Tensor, size: int):
    """A hand or a bar before the face: opacity (B, 1, size, size) and colour (B, 3, size, size).

    amount (B,): width of the bar as a share of the face's width (0: none). style chooses place, slant,
    and whether it is a plain bar or a skin-coloured hand with fingers.
    """
    axis = (torch.arange(size, device=amount.device) + 0.5) * (112 / size)
    place = [s[:, None, None] for s in style[:, 5:9].unbind(1)]
    slant = (place[0] - 0.5) * 2.4
    x, y = axis[None, None, :] - 56, axis[None, :, None] - 72
    along, across = x * slant.cos() + y * slant.sin(), -x * slant.sin() + y * slant.cos()
    across = across - (place[1] - 0.5) * 66
    half = 40 * amount[:, None, None]
    end = along - (place[2] - 0.35) * 60
    opacity = torch.sigmoid((half - across.abs()) * 1.5) * torch.sigmoid(-end * 0.8 * (place[3] - 0.5).sign())
    is_hand = (style[:, 9] > 0.4)[:, None, None, None]
    fingers = 1 - 0.55 * hill(((torch.remainder(across, 11) - 5.5) / 1.1) ** 2)
    skin = torch.tensor([0.58, 0.34, 0.24], device=amount.device)[None, :, None, None] * fingers.unsqueeze(1)
    colour = torch.where(is_hand, skin * (0.5 + 0.7 * style[:, 1, None, None, None]), _fabric(style))
    return (opacity * (amount > 0)[:, None, None]).unsqueeze(1), colour
