"""The colours of a person, painted once per identity on the unrolled head.

A texture has CHANNELS planes on a grid finer than the head's: linear red, green, blue; gloss; `hair`
(how much of the colour is hair, for greying); `lid` (height inside the eye opening, 0 at the upper and
1 at the lower lid, -1 outside: closing eyes moves a threshold through it); `wrinkle` (where age draws).
All positions are centimetres on the average face (see `head.py`).
"""
from functools import cache
from types import SimpleNamespace

import torch
import torch.nn.functional as F

from fiqa_core.rendering.head import COLUMNS, EYE, ROWS, average_head, both, bump, ear_shape, hill, step
from fiqa_core.rendering.identity import COLOUR, PARAMETERS

CHANNELS = ("red", "green", "blue", "gloss", "hair", "lid", "wrinkle")
HEIGHT, WIDTH = 256, 272
SKIN = (0.56, 0.325, 0.225)
HAIR = (0.085, 0.052, 0.034)


@cache
def _canvas(device: str) -> SimpleNamespace:
    """Face coordinates of every texel, and fixed patterns: smooth noise, freckles, hair strands."""
    head = average_head()

    def stretch(grid):
        return F.interpolate(grid[None, None], (HEIGHT, WIDTH), mode="bilinear", align_corners=True)[0, 0].to(device)

    generator = torch.Generator().manual_seed(20)

    def noise(rows, columns):
        coarse = torch.randn(1, 1, rows, columns, generator=generator)
        return F.interpolate(coarse, (HEIGHT, WIDTH), mode="bicubic", align_corners=True)[0, 0].to(device)

    blotches = [noise(22, 26) + 0.6 * noise(48, 56) for _ in range(3)]
    return SimpleNamespace(
        x=stretch(head.face_x), y=stretch(head.face_y), front=stretch(head.front), angle=stretch(head.angle),
        blotches=blotches, freckles=step(noise(150, 170), 1.0, 0.8), strands=noise(20, 200),
        locks=noise(10, 40), grain=noise(120, 130))


def paint(identities: torch.Tensor) -> torch.Tensor:
    """Textures (B, len(CHANNELS), HEIGHT, WIDTH) of identities (B, len(PARAMETERS)), same device."""
    canvas = _canvas(str(identities.device))
    values = {name: identities[:, PARAMETERS.index(name)].reshape(-1, 1, 1) for name in COLOUR}
    who = SimpleNamespace(**values)
    rgb, gloss = _skin(canvas, who)
    rgb = _lips(canvas, who, rgb)
    rgb, lid = _eyes(canvas, who, rgb)
    rgb, hair = _hair(canvas, who, rgb)
    gloss = gloss * (1 - 0.6 * hair) + 0.5 * (lid > -0.5)
    wrinkle = _wrinkles(canvas).expand_as(gloss)
    rgb = rgb.clamp(0.004, 1.2)
    return torch.cat([rgb, torch.stack([gloss, hair, lid, wrinkle], 1)], 1)


def colour(*rgb, like: torch.Tensor) -> torch.Tensor:
    """A colour as (1, 3, 1, 1) on the device of `like`."""
    return torch.tensor(rgb, device=like.device).reshape(1, 3, 1, 1)


def _mix(rgb, other, amount):
    """Paint `other` over `rgb` with opacity amount (B or 1, H, W)."""
    return torch.lerp(rgb, other.expand_as(rgb), amount.unsqueeze(1).expand(len(rgb), 3, -1, -1))


def _skin(c, who):
    base = colour(*SKIN, like=c.x) * torch.exp(0.30 * who.skin_lightness).unsqueeze(1)
    warmth = 0.042 * who.skin_warmth
    base = base * torch.stack([torch.ones_like(warmth), 1 - 0.5 * warmth, 1 - 2 * warmth], 1)
    shade = 0.034 * (who.blotches_a * c.blotches[0] + who.blotches_b * c.blotches[1]
                     + who.blotches_c * c.blotches[2]) + 0.012 * c.grain
    shade = shade - 0.28 * (who.freckles - 0.4).clamp(0, 1.6) * c.freckles * bump(c.x, c.y, (0, 2.6), (4.5, 1.7))
    shade = shade - (0.13 + 0.09 * who.eye_bags) * both(c.x, c.y, (2.9, 1.15), (1.15, 0.34))
    for which, centre_x in (("a", -1.0), ("b", 1.0)):
        x = 3.4 * centre_x + 1.6 * getattr(who, f"mole_{which}_x")
        y = 4.6 + 2.9 * getattr(who, f"mole_{which}_y")
        size = 0.13 + 0.10 * (getattr(who, f"mole_{which}_size") - 0.3).clamp(0, 2)
        shade = shade - 0.75 * (size > 0.131) * hill((((c.x - x) ** 2 + (c.y - y) ** 2) / size ** 2) ** 1.5)
    rgb = base * (1 + (shade + _creases(c)).clamp(-0.85, 0.6)).unsqueeze(1)
    red = (0.08 + 0.05 * who.skin_redness).clamp(0, 0.2) * (
        both(c.x, c.y, (4.2, 3.6), (1.5, 1.3)) + bump(c.x, c.y, (0, 3.8), (0.9, 0.9)))
    rgb = rgb * (1 - red.unsqueeze(1) * colour(-0.15, 1.0, 0.9, like=c.x))
    gloss = 0.10 + 0.22 * (bump(c.x, c.y, (0, 2.5), (0.8, 2.2)) + bump(c.x, c.y, (0, -4.4), (3, 1.4))
                           + 0.7 * both(c.x, c.y, (4.1, 2.2), (1.2, 0.9)))
    return rgb, gloss.expand(len(rgb), -1, -1)


def _creases(c):
    """Fixed shading of places that little light reaches."""
    nostrils = -0.75 * both(c.x, c.y, (0.62, 4.85), (0.27, 0.14))
    wings = -0.30 * both(c.x, c.y, (1.85, 4.35), (0.14, 0.45)) - 0.22 * bump(c.x, c.y, (0, 5.05), (1.5, 0.22))
    sockets = -0.22 * both(c.x, c.y, (2.2, -0.55), (0.8, 0.5)) - 0.12 * both(c.x, c.y, (3.2, -0.8), (1.3, 0.4))
    chin = -0.16 * bump(c.x, c.y, (0, 9.05), (1.5, 0.25))
    return nostrils + wings + sockets + chin - 0.45 * step(c.y, 11.6, 1.2)


def _lips(c, who, rgb):
    """Lips, the line between them, and what an open mouth shows (it lies folded into that line)."""
    arch = (1 - (c.x / 2.6) ** 2).clamp(0, 1)
    bow = 1 - 0.22 * hill((c.x / 0.32) ** 2)
    top = 7.3 - 0.72 * arch ** 0.75 * bow
    bottom = 7.3 + 0.98 * arch ** 0.65
    lips = step(c.y, top, 0.22) * (1 - step(c.y, bottom, 0.26)) * (arch > 0) * c.front
    tint = torch.cat([torch.ones_like(who.lip_redness), 0.66 - 0.10 * who.lip_redness, 0.70 - 0.08 * who.lip_redness], 1)
    shade = (0.86 - 0.10 * who.lip_darkness).clamp(0.5, 1.1)
    rgb = rgb * torch.lerp(torch.ones_like(rgb), (tint.reshape(-1, 3, 1, 1) * shade.unsqueeze(1)).expand_as(rgb),
                           lips.expand_as(rgb))
    opening = hill((c.x.abs() / 2.45) ** 10) * c.front
    inside = opening * hill(((c.y - 7.3) / 0.115) ** 4)
    rgb = _mix(rgb, colour(0.075, 0.018, 0.016, like=c.x), inside[None])
    teeth = hill(((c.y - 7.255) / 0.028) ** 4) * hill((c.x.abs() / 1.8) ** 6) * c.front
    return _mix(rgb, colour(0.62, 0.58, 0.50, like=c.x), 0.9 * teeth[None])


def _eyes(c, who, rgb):
    u = (c.x.abs() - EYE[0]) / 1.48
    arch = (1 - u ** 2).clamp(min=0)
    upper = EYE[1] + 0.10 * u - 0.60 * arch ** 0.8
    lower = EYE[1] + 0.10 * u + 0.42 * arch
    height = (c.y - upper) / (lower - upper).clamp(min=0.05)
    opening = ((height > 0) & (height < 1) & (u.abs() < 1) & (c.front > 0.5))
    soft = step(c.y, upper, 0.12) * (1 - step(c.y, lower, 0.12)) * (u.abs() < 1) * c.front
    radius = (((c.x.abs() - EYE[0]) ** 2 + (c.y + 0.07) ** 2) + 1e-6).sqrt()
    white = colour(0.52, 0.47, 0.44, like=c.x) * (0.72 + 0.28 * step(c.y, upper + 0.15, 0.5))[None, None]
    brown, blue = colour(0.10, 0.045, 0.02, like=c.x), colour(0.12, 0.20, 0.26, like=c.x)
    share = torch.sigmoid(1.6 * who.iris_hue - 1.0).unsqueeze(1)
    iris = (brown * (1 - share) + blue * share) * torch.exp(0.35 * who.iris_lightness).unsqueeze(1)
    iris = iris * (0.55 + 0.75 * hill(((radius - 0.40) / 0.16) ** 2))[None, None]
    eye = _mix(white.expand_as(rgb), iris, (1 - step(radius, 0.66, 0.10))[None])
    eye = _mix(eye, colour(0.006, 0.005, 0.005, like=c.x), (1 - step(radius, 0.27, 0.08))[None])
    glint = bump(c.x, c.y, (EYE[0] - 0.17, -0.24), (0.09, 0.09)) + bump(c.x, c.y, (-EYE[0] - 0.17, -0.24), (0.09, 0.09))
    eye = _mix(eye, colour(0.95, 0.95, 0.95, like=c.x), glint.clamp(max=1)[None])
    rgb = _mix(rgb, eye, soft[None])
    lash = hill(((c.y - upper) / 0.11) ** 2) * step(arch, 0.02, 0.08) * (u.abs() < 1.02)
    lash = lash + 0.35 * hill(((c.y - lower) / 0.07) ** 2) * (u.abs() < 1)
    fold = hill(((c.y - upper + 0.42) / 0.10) ** 2) * hill((u / 0.95) ** 8)
    rgb = rgb * (1 - (0.80 * lash + 0.32 * fold).clamp(0, 0.9) * c.front)[None, None]
    lid = torch.where(opening, height, -1.0).expand(len(rgb), -1, -1)
    return rgb, lid


def _hair_colour(c, who):
    base = colour(*HAIR, like=c.x) * torch.exp(0.75 * who.hair_lightness).unsqueeze(1)
    red = torch.exp(0.22 * who.hair_redness)
    return base * torch.stack([red, torch.ones_like(red), 1 / red], 1)


def _hair(c, who, rgb):
    """Brows, beard, moustache and scalp hair; returns the colours and the share of hair (B, H, W)."""
    tone = _hair_colour(c, who)
    brows = _brows(c, who) * (0.72 + 0.12 * who.brow_darkness).clamp(0.3, 0.95)
    scalp, beard = _scalp(c, who), _beard(c, who)
    hairy = torch.maximum(brows, beard)
    rgb = _mix(rgb, tone * (1 + 0.25 * c.grain)[None, None].clamp(0.5, 1.5), hairy)
    strands = (1 + 0.26 * c.strands + 0.22 * c.locks).clamp(0.35, 1.9)
    rgb = _mix(rgb, tone * strands[None, None], scalp)
    return rgb, torch.maximum(hairy, scalp)


def _brows(c, who):
    along = (c.x.abs() - 1.25) / (3.45 + 0.22 * who.brow_length)
    centre = (-1.72 - 0.20 * who.brow_height - (0.28 + 0.17 * who.brow_slope) * along
              - (0.42 + 0.20 * who.brow_arch) * hill(((along - 0.62) / 0.30) ** 2) + 0.35 * along.clamp(min=0) ** 3)
    thick = (0.34 + 0.085 * who.brow_thickness).clamp(0.12, 0.6) * (1 - 0.55 * along.clamp(0, 1))
    ends = step(along, 0.02, 0.18) * (1 - step(along, 0.95, 0.2))
    ragged = 0.10 * c.strands
    return hill((((c.y - centre) / thick + ragged).abs()) ** 3) * ends * c.front


def _beard(c, who):
    lips = hill((c.x.abs() / 2.6) ** 6) * hill(((c.y - 7.45) / 1.05) ** 6)
    chin = step(c.y, 6.3 - 0.5 * (c.x.abs() - 3.2).clamp(0, 4), 1.6) * (1 - step(c.y, 13.0, 2.0)) * (c.angle.abs() < 1.7)
    moustache = bump(c.x, c.y, (0, 6.0), (2.0, 0.42))
    density = 0.78 * ((who.beard - 0.35) / 1.2).clamp(0, 1)
    upper = 0.85 * ((who.moustache + 0.5 * who.beard - 0.6) / 1.2).clamp(0, 1)
    texture = (1 + 0.25 * c.grain).clamp(0.4, 1.4)
    return (torch.maximum(density * chin, upper * moustache) * (1 - lips) * texture).clamp(0, 1)


def _scalp(c, who):
    width = c.x.abs()
    line = -6.0 - 0.55 * who.hair_line + 0.14 * width ** 1.6 - (
        0.5 + 0.6 * who.hair_recession).clamp(0, 2) * hill(((width - 3.2) / 1.4) ** 2)
    top = line - c.y + 0.12 * c.strands + 0.15 * c.locks
    beside = torch.minimum((c.angle.abs() - 1.28) * 7, 0.8 - c.y) + 0.1 * c.strands - 4 * ear_shape(c.y, c.angle)
    behind = torch.minimum((c.angle.abs() - 1.95) * 7, 8.0 - c.y)
    curtain = torch.minimum((c.angle.abs() - 1.52) * 7, 7.0 + 4.0 * who.hair_length - c.y)
    curtain = torch.where(who.hair_length > 0, curtain, torch.full_like(curtain, -9.0))
    edge = torch.stack([top, beside.expand_as(top), behind.expand_as(top), curtain.expand_as(top)]).amax(0)
    return torch.sigmoid(edge / 0.22)


def _wrinkles(c):
    """Where lines appear with age, 0..1."""
    forehead = torch.sin((c.y + 0.12 * c.x ** 2 * 0.3 + 0.1 * c.locks) * 7.5).clamp(min=0) ** 3
    forehead = forehead * bump(c.x, c.y, (0, -4.0), (3.2, 1.1))
    slant = torch.sin((c.y - 0.1) / (c.x.abs() - 3.6).clamp(min=0.5) * 11).clamp(min=0) ** 3
    crow = slant * both(c.x, c.y, (5.5, 0.2), (0.75, 0.9))
    fold_x = 1.75 + 0.40 * (c.y - 4.2).clamp(0, 4)
    fold = hill(((c.x.abs() - fold_x) / 0.20) ** 2) * step(c.y, 4.4, 0.8) * (1 - step(c.y, 7.3, 1.2))
    marionette = hill(((c.x.abs() - 2.85) / 0.15) ** 2) * step(c.y, 7.6, 0.6) * (1 - step(c.y, 9.4, 1.0))
    bags = both(c.x, c.y, (3.1, 1.5), (1.1, 0.14)) + 0.7 * both(c.x, c.y, (3.1, 1.05), (1.1, 0.12))
    frown = hill(((c.x.abs() - 0.5) / 0.13) ** 2) * hill(((c.y + 2.2) / 0.8) ** 2)
    return ((0.9 * forehead + crow + fold + 0.8 * marionette + 0.7 * bags + 0.7 * frown) * c.front).clamp(0, 1)
