"""The colours of a person, painted once per identity on the unrolled head.

A texture has CHANNELS planes on a grid finer than the head's: linear red, green, blue; gloss; `hair`
(how much of the colour is hair, for greying); `lid` (height inside the eye opening, 0 at the upper and
1 at the lower lid, -1 outside: closing eyes moves a threshold through it); `wrinkle` (where age draws).
All positions are centimetres on the average face (see `head.py`); `who.x` is the identity parameter x.
"""
from types import SimpleNamespace

import torch

from fiqa_core.rendering.canvas import HEIGHT, WIDTH, canvas
from fiqa_core.rendering.head import hill, step
from fiqa_core.rendering.identity import COLOUR, PARAMETERS

CHANNELS = ("red", "green", "blue", "gloss", "hair", "lid", "wrinkle")
CHEEK = (HEIGHT // 2, int(WIDTH * 0.38))  # a texel of bare skin
LONG_HAIR = 0.7  # hair_length above this falls over the ears: one person in four
_SKIN = (0.56, 0.325, 0.225)
_HAIR = (0.085, 0.052, 0.034)


def paint(identities: torch.Tensor) -> torch.Tensor:
    """Textures (B, len(CHANNELS), HEIGHT, WIDTH) of identities (B, len(PARAMETERS)), same device."""
    c = canvas(str(identities.device))
    values = {name: identities[:, PARAMETERS.index(name)].reshape(-1, 1, 1, 1) for name in COLOUR}
    who = SimpleNamespace(**values)
    rgb = _eyes(c, who, _lips(c, who, _skin(c, who)))
    rgb, hair = _hair(c, who, rgb)
    gloss = c.gloss * (1 - 0.6 * hair)
    lid, wrinkle = c.lid.expand_as(hair), c.wrinkle.expand_as(hair)
    return torch.cat([rgb.clamp(0.004, 1.2), gloss, hair, lid, wrinkle], 1)


def _colour(c, *rgb):
    return torch.tensor(rgb, device=c.x.device).reshape(1, 3, 1, 1)


def _skin(c, who):
    warmth = 0.026 * who.skin_warmth
    base = _colour(c, *_SKIN) * torch.exp(0.13 * who.skin_lightness)
    base = base * torch.cat([torch.ones_like(warmth), 1 - 0.5 * warmth, 1 - 2 * warmth], 1)
    shade = c.creases + 0.046 * (who.blotches_a * c.blotches[0] + who.blotches_b * c.blotches[1]
                                 + who.blotches_c * c.blotches[2])
    shade = shade - 0.28 * (who.freckles - 0.4).clamp(0, 1.6) * c.freckles
    shade = shade - (0.13 + 0.12 * who.eye_bags) * c.below_eyes
    shade = shade - _mole(c, -3.4, who.mole_a_x, who.mole_a_y, who.mole_a_size)
    shade = shade - _mole(c, 3.4, who.mole_b_x, who.mole_b_y, who.mole_b_size)
    red = (0.08 + 0.035 * who.skin_redness).clamp(0, 0.2) * c.blush
    return base * (1 + shade.clamp(-0.85, 0.6)) * (1 - red * _colour(c, -0.15, 1.0, 0.9))


def _mole(c, side, x, y, size):
    """Darkness of a mole; about four persons in ten have none (size below 0.3)."""
    radius = 0.16 + 0.11 * (size - 0.3).clamp(0, 2)
    square = (c.x - side - 1.6 * x) ** 2 + (c.y - 4.6 - 2.9 * y) ** 2
    return 0.75 * (size > 0.3) * hill((square / radius ** 2) ** 1.5)


def _lips(c, who, rgb):
    """Lips, the line between them, and what an open mouth shows (it lies folded into that line)."""
    tint = torch.cat([torch.ones_like(who.lip_redness), 0.66 - 0.10 * who.lip_redness,
                      0.70 - 0.08 * who.lip_redness], 1)
    tint = tint * (0.86 - 0.12 * who.lip_darkness).clamp(0.5, 1.1)
    rgb = rgb * (1 + c.lips * (tint - 1))
    rgb = torch.lerp(rgb, _colour(c, 0.075, 0.018, 0.016), c.mouth)
    return torch.lerp(rgb, _colour(c, 0.62, 0.58, 0.50), c.teeth)


def _eyes(c, who, rgb):
    share = torch.sigmoid(1.6 * who.iris_hue - 1.0)
    iris = _colour(c, 0.10, 0.045, 0.02) * (1 - share) + _colour(c, 0.12, 0.20, 0.26) * share
    iris = iris * torch.exp(0.45 * who.iris_lightness) * c.iris_rays
    eye = torch.lerp(_colour(c, 0.52, 0.47, 0.44) * c.lid_shadow, iris, c.iris)
    eye = torch.lerp(eye * (1 - c.pupil), torch.full_like(eye, 0.95), c.glint)
    return torch.lerp(rgb, eye, c.eye) * (1 - c.lashes)


def _hair(c, who, rgb):
    """Brows, beard, moustache and scalp hair; returns the colours and the share of hair (B, 1, H, W)."""
    red = torch.exp(0.14 * who.hair_redness)
    tone = _colour(c, *_HAIR) * torch.exp(0.30 * who.hair_lightness)
    tone = tone * torch.cat([red, torch.ones_like(red), 1 / red], 1)
    brows = _brows(c, who) * (0.72 + 0.15 * who.brow_darkness).clamp(0.3, 0.95)
    scalp = _scalp(c, who)
    hairy = torch.maximum(brows, _beard(c, who))
    rgb = torch.lerp(rgb, tone * c.stubble, hairy)
    return torch.lerp(rgb, tone * c.hair_shine, scalp), torch.maximum(hairy, scalp)


def _brows(c, who):
    along = (c.x.abs() - 1.25) / (3.45 + 0.32 * who.brow_length)
    arch = (0.42 + 0.28 * who.brow_arch) * hill(((along - 0.62) / 0.30) ** 2) - 0.35 * along.clamp(min=0) ** 3
    centre = -1.72 - 0.27 * who.brow_height - (0.28 + 0.24 * who.brow_slope) * along - arch
    thick = (0.34 + 0.12 * who.brow_thickness).clamp(0.12, 0.6) * (1 - 0.55 * along.clamp(0, 1))
    ends = step(along, 0.02, 0.18) * (1 - step(along, 0.95, 0.2))
    return hill(((c.y - centre) / thick + 0.10 * c.strands).abs() ** 3) * ends * c.front


def _beard(c, who):
    density = 0.55 * ((who.beard - 0.35) / 1.2).clamp(0, 1)
    upper = 0.70 * ((who.moustache + 0.5 * who.beard - 0.6) / 1.2).clamp(0, 1)
    return torch.maximum(density * c.beard_area, upper * c.moustache_area).clamp(0, 1)


def _scalp(c, who):
    width, angle = c.x.abs(), c.angle.abs()
    recession = (0.5 + 0.6 * who.hair_recession).clamp(0, 2) * hill(((width - 3.2) / 1.4) ** 2)
    line = -6.0 - 0.40 * who.hair_line + 0.14 * width ** 1.6 - recession
    top = line - c.y + 0.12 * c.strands + 0.15 * c.locks
    curtain = torch.minimum((angle - 1.52) * 7, 7.0 + 4.0 * who.hair_length - c.y)
    curtain = torch.where(who.hair_length > LONG_HAIR, curtain, -9.0)
    return torch.sigmoid(torch.maximum(torch.maximum(top, c.hair_sides), curtain) / 0.22)
