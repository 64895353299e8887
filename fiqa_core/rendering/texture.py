"""The colours of a person, painted once per identity on the unrolled head.

A texture has CHANNELS planes on a grid finer than the head's: linear red, green, blue; gloss; `hair`
(how much of the colour is hair, for greying); `lid` (height inside the eye opening, 0 at the upper and
1 at the lower lid, -1 outside: closing eyes moves a threshold through it); `wrinkle` (where age draws).
All positions are centimetres on the average face (see `head.py`); `who.x` is the identity parameter x.
"""
from types import SimpleNamespace

import torch

from fiqa_core.rendering import hair
from fiqa_core.rendering.canvas import HEIGHT, WIDTH, canvas
from fiqa_core.rendering.head import hill
from fiqa_core.rendering.identity import COLOUR, PARAMETERS

CHANNELS = ("red", "green", "blue", "gloss", "hair", "lid", "wrinkle")
CHEEK = (HEIGHT // 2, int(WIDTH * 0.38))  # a texel of bare skin
# linear colours of skin from the lightest to the darkest
_SKIN = ((0.76, 0.53, 0.42), (0.67, 0.42, 0.31), (0.56, 0.335, 0.23), (0.45, 0.255, 0.17),
         (0.30, 0.158, 0.102), (0.15, 0.077, 0.052))
_LIPSTICK = ((0.30, 0.03, 0.04), (0.45, 0.10, 0.10), (0.20, 0.03, 0.05))


def paint(identities: torch.Tensor) -> torch.Tensor:
    """Textures (B, len(CHANNELS), HEIGHT, WIDTH) of identities (B, len(PARAMETERS)), same device."""
    c = canvas(str(identities.device))
    values = {name: identities[:, PARAMETERS.index(name)].reshape(-1, 1, 1, 1) for name in COLOUR}
    who = SimpleNamespace(**values)
    melanin = hair.share(-1.1 * who.skin_lightness)  # spread evenly, not crowded about the middle
    make_up = ((who.make_up - 1.2 * torch.tanh(1.5 * who.sex) - 0.3) / 1.5).clamp(0, 1)
    rgb = _eyes(c, who, melanin, make_up, _lips(c, who, melanin, make_up, _skin(c, who, melanin)))
    rgb, hairy = _hair(c, who, melanin, rgb)
    gloss = c.gloss * (1 - 0.6 * hairy)
    lid, wrinkle = c.lid.expand_as(hairy), c.wrinkle.expand_as(hairy)
    return torch.cat([rgb.clamp(0.004, 1.2), gloss, hairy, lid, wrinkle], 1)


def _colour(c, *rgb):
    return torch.tensor(rgb, device=c.x.device).reshape(1, 3, 1, 1)


def _skin(c, who, melanin):
    warmth = 0.034 * who.skin_warmth
    base = hair.along(_SKIN, melanin)
    base = base * torch.cat([torch.ones_like(warmth), 1 - 0.5 * warmth, 1 - 2 * warmth], 1)
    shade = c.creases + 0.026 * (who.blotches_a * c.blotches[0] + who.blotches_b * c.blotches[1]
                                 + who.blotches_c * c.blotches[2])
    shade = shade - 0.28 * (who.freckles - 0.5).clamp(0, 1.6) * (1 - 0.7 * melanin) * c.freckles
    shade = shade - (0.13 + 0.12 * who.eye_bags) * c.below_eyes
    shade = shade - _mole(c, -3.4, who.mole_a_x, who.mole_a_y, who.mole_a_size)
    shade = shade - _mole(c, 3.4, who.mole_b_x, who.mole_b_y, who.mole_b_size)
    red = (0.12 + 0.07 * who.skin_redness).clamp(0, 0.28) * (1 - 0.6 * melanin) * c.blush
    return base * (1 + shade.clamp(-0.85, 0.6)) * (1 - red * _colour(c, -0.15, 1.0, 0.9))


def _mole(c, side, x, y, size):
    """Darkness of a mole; about four persons in ten have none (size below 0.3)."""
    radius = 0.16 + 0.11 * (size - 0.3).clamp(0, 2)
    square = (c.x - side - 1.6 * x) ** 2 + (c.y - 4.6 - 2.9 * y) ** 2
    return 0.75 * (size > 0.3) * hill((square / radius ** 2) ** 1.5)


def _lips(c, who, melanin, make_up, rgb):
    """Lips, the line between them, and what an open mouth shows (it lies folded into that line)."""
    tint = torch.cat([torch.ones_like(who.lip_redness), 0.66 - 0.10 * who.lip_redness,
                      0.70 - 0.08 * who.lip_redness], 1)
    tint = tint * (0.86 - 0.12 * who.lip_darkness).clamp(0.5, 1.1)
    rgb = rgb * (1 + c.lips * (tint + 0.12 * melanin - 1))
    stick = hair.along(_LIPSTICK, hair.share(who.lip_darkness))
    rgb = torch.lerp(rgb, stick, 0.8 * make_up * c.lips)
    rgb = torch.lerp(rgb, _colour(c, 0.075, 0.018, 0.016), c.mouth)
    return torch.lerp(rgb, _colour(c, 0.62, 0.58, 0.50), c.teeth)


def _eyes(c, who, melanin, make_up, rgb):
    share = torch.sigmoid(2.2 * who.iris_hue - 0.6) * (1.3 - 2.2 * melanin).clamp(0, 1)
    iris = _colour(c, 0.10, 0.045, 0.02) * (1 - share) + _colour(c, 0.12, 0.20, 0.26) * share
    iris = iris * torch.exp(0.45 * who.iris_lightness) * c.iris_rays
    eye = torch.lerp(_colour(c, 0.52, 0.47, 0.44) * (1 - 0.4 * melanin) * c.lid_shadow, iris, c.iris)
    eye = torch.lerp(eye * (1 - c.pupil), torch.full_like(eye, 0.95), c.glint)
    lash = c.lash * (0.85 + 0.5 * make_up).clamp(max=1.1)
    lash = lash + (0.30 + 0.26 * who.eye_fold).clamp(0, 0.8) * c.fold
    rgb = rgb * (1 - 0.55 * make_up * c.shadow_area)
    return torch.lerp(rgb, eye, c.eye) * (1 - lash.clamp(0, 0.95))


def _hair(c, who, melanin, rgb):
    """Brows, beard, moustache and scalp hair; returns the colours and the share of hair (B, 1, H, W)."""
    tone = hair.tone(c, who, melanin)
    hairy, scalp = torch.maximum(hair.brows(c, who), hair.beard(c, who)), hair.scalp(c, who)
    rgb = torch.lerp(rgb, 0.85 * tone * c.stubble, hairy)
    return torch.lerp(rgb, tone * hair.shine(c, who), scalp), torch.maximum(hairy, scalp)
