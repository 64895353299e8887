"""What all textures share: the unrolled head as a canvas, and the areas painted on it.

Every map is (HEIGHT, WIDTH), most of them opacities between 0 and 1.
"""
from functools import cache
from types import SimpleNamespace

import torch
import torch.nn.functional as F

from fiqa_core.rendering.head import EYE, average_head, both, bump, hill, step

HEIGHT, WIDTH = 256, 272


@cache
def canvas(device: str) -> SimpleNamespace:
    """All maps on `device`; computed once per process."""
    head = average_head()
    grids = torch.stack([head.face_x, head.face_y, head.front, head.angle])[None]
    x, y, front, angle = F.interpolate(grids, (HEIGHT, WIDTH), mode="bilinear", align_corners=True)[0]
    c = SimpleNamespace(x=x, y=y, front=front, angle=angle)
    for add in (_patterns, _skin_areas, _mouth_areas, _eye_areas, _hair_areas):
        add(c)
    c.wrinkle = _wrinkles(c)
    c.gloss = c.gloss + 0.5 * (c.lid > -0.5)
    return SimpleNamespace(**{name: value.to(device) for name, value in vars(c).items()})


def _patterns(c):
    """Fixed random patterns: blotches and grain of the skin, freckles, strands and locks of hair."""
    generator = torch.Generator().manual_seed(20)

    def noise(rows, columns):
        coarse = torch.randn(1, 1, rows, columns, generator=generator)
        return F.interpolate(coarse, (HEIGHT, WIDTH), mode="bicubic", align_corners=True)[0, 0]

    c.blotches = torch.stack([noise(12, 14) + 0.4 * noise(110, 120) for _ in range(3)])
    c.freckles = step(noise(150, 170), 1.0, 0.8) * bump(c.x, c.y, (0, 2.6), (4.5, 1.7))
    c.strands, c.locks, c.grain, c.curls = noise(20, 200), noise(10, 40), noise(120, 130), noise(52, 64)


def _skin_areas(c):
    """Places that little light reaches, redness of cheeks and nose, rings below the eyes, gloss."""
    x, y = c.x, c.y
    nostrils = -0.75 * both(x, y, (0.62, 4.85), (0.27, 0.14))
    wings = -0.30 * both(x, y, (1.85, 4.35), (0.14, 0.45)) - 0.22 * bump(x, y, (0, 5.05), (1.5, 0.22))
    sockets = -0.22 * both(x, y, (2.2, -0.55), (0.8, 0.5)) - 0.12 * both(x, y, (3.2, -0.8), (1.3, 0.4))
    chin = -0.16 * bump(x, y, (0, 9.05), (1.5, 0.25))
    c.creases = nostrils + wings + sockets + chin - 0.60 * step(y, 11.5, 1.4) + 0.012 * c.grain
    c.below_eyes = both(x, y, (2.9, 1.15), (1.15, 0.34))
    c.blush = both(x, y, (4.2, 3.6), (1.5, 1.3)) + bump(x, y, (0, 3.8), (0.9, 0.9))
    c.gloss = 0.10 + 0.22 * (bump(x, y, (0, 2.5), (0.8, 2.2)) + bump(x, y, (0, -4.4), (3, 1.4))
                             + 0.7 * both(x, y, (4.1, 2.2), (1.2, 0.9)))


def _mouth_areas(c):
    """Lips; the inside of the mouth and the teeth, folded into the line between the closed lips."""
    arch = (1 - (c.x / 2.6) ** 2).clamp(0, 1)
    top = 7.3 - 0.72 * arch ** 0.75 * (1 - 0.22 * hill((c.x / 0.32) ** 2))
    bottom = 7.3 + 0.98 * arch ** 0.65
    c.lips = step(c.y, top, 0.22) * (1 - step(c.y, bottom, 0.26)) * (arch > 0) * c.front
    c.mouth = hill((c.x.abs() / 2.45) ** 10) * c.front * hill(((c.y - 7.3) / 0.115) ** 4)
    c.teeth = 0.9 * hill(((c.y - 7.255) / 0.028) ** 4) * hill((c.x.abs() / 1.8) ** 6) * c.front


def _eye_areas(c):
    """Opening between the lids, iris, pupil, light reflex, lashes and the fold of the upper lid."""
    u = (c.x.abs() - EYE[0]) / 1.48
    arch = (1 - u ** 2).clamp(min=0)
    upper = EYE[1] + 0.10 * u - 0.60 * arch ** 0.8
    lower = EYE[1] + 0.10 * u + 0.42 * arch
    within = (u.abs() < 1) * c.front
    height = (c.y - upper) / (lower - upper).clamp(min=0.05)
    c.lid = torch.where((height > 0) & (height < 1) & (within > 0.5), height, -1.0)
    c.eye = step(c.y, upper, 0.12) * (1 - step(c.y, lower, 0.12)) * within
    radius = ((c.x.abs() - EYE[0]) ** 2 + (c.y + 0.07) ** 2).sqrt()
    c.iris, c.pupil = 1 - step(radius, 0.66, 0.10), 0.98 * (1 - step(radius, 0.27, 0.08))
    c.iris_rays = 0.55 + 0.75 * hill(((radius - 0.40) / 0.16) ** 2)
    c.lid_shadow = 0.72 + 0.28 * step(c.y, upper + 0.15, 0.5)
    reflex = (bump(c.x, c.y, (side * EYE[0] - 0.17, -0.24), (0.09, 0.09)) for side in (-1, 1))
    c.glint = sum(reflex).clamp(max=1)
    lash = hill(((c.y - upper) / 0.11) ** 2) * step(arch, 0.02, 0.08) * (u.abs() < 1.02)
    lash = lash + 0.35 * hill(((c.y - lower) / 0.07) ** 2) * (u.abs() < 1)
    fold = hill(((c.y - upper + 0.42) / 0.10) ** 2) * hill((u / 0.95) ** 8)
    c.lash, c.fold = (0.80 * lash).clamp(0, 0.9) * c.front, fold * c.front
    c.shadow_area = both(c.x, c.y, (3.2, -0.75), (1.25, 0.36)) * c.front


def _hair_areas(c):
    """Where beard and moustache grow, and how hair shines."""
    lips = hill((c.x.abs() / 2.6) ** 6) * hill(((c.y - 7.45) / 1.05) ** 6)
    texture = (1 + 0.25 * c.grain).clamp(0.4, 1.4) * (1 - lips)
    edge = 6.3 - 0.5 * (c.x.abs() - 3.2).clamp(0, 4)
    c.beard_area = step(c.y, edge, 1.6) * (1 - step(c.y, 13.0, 2.0)) * (c.angle.abs() < 1.7) * texture
    c.moustache_area = bump(c.x, c.y, (0, 6.0), (2.0, 0.42)) * texture
    c.stubble = (1 + 0.25 * c.grain).clamp(0.5, 1.5)
    c.hair_shine = (1 + 0.26 * c.strands + 0.22 * c.locks).clamp(0.35, 1.9)


def _wrinkles(c):
    """Where lines appear with age: forehead, crow's feet, beside nose and mouth, below the eyes, frown."""
    x, y = c.x, c.y
    forehead = torch.sin((y + 0.036 * x ** 2 + 0.1 * c.locks) * 7.5).clamp(min=0) ** 3
    forehead = 0.9 * forehead * bump(x, y, (0, -4.0), (3.2, 1.1))
    slant = torch.sin((y - 0.1) / (x.abs() - 3.6).clamp(min=0.5) * 11).clamp(min=0) ** 3
    crow = slant * both(x, y, (5.5, 0.2), (0.75, 0.9))
    fold = hill(((x.abs() - 1.75 - 0.40 * (y - 4.2).clamp(0, 4)) / 0.20) ** 2)
    fold = fold * step(y, 4.4, 0.8) * (1 - step(y, 7.3, 1.2))
    marionette = 0.8 * hill(((x.abs() - 2.85) / 0.15) ** 2) * step(y, 7.6, 0.6) * (1 - step(y, 9.4, 1.0))
    bags = 0.7 * both(x, y, (3.1, 1.5), (1.1, 0.14)) + 0.5 * both(x, y, (3.1, 1.05), (1.1, 0.12))
    frown = 0.7 * hill(((x.abs() - 0.5) / 0.13) ** 2) * hill(((y + 2.2) / 0.8) ** 2)
    return ((forehead + crow + fold + marionette + bags + frown) * c.front).clamp(0, 1)
