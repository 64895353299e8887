"""Hair of a person: its cut and colour, brows and beard, painted on the unrolled head.

`who.x` is the identity parameter x as (B, 1, 1, 1); lengths are centimetres on the average face. Men lose
hair and wear beards, long hair is commoner with women, dark skin goes with dark hair, all else is free.
"""
from types import SimpleNamespace

import torch

from fiqa_core.rendering.head import ear_shape, hill, step
from fiqa_core.rendering.identity import column

# linear colours from black over the browns to light blond
_TONES = ((0.010, 0.008, 0.008), (0.016, 0.011, 0.009), (0.034, 0.020, 0.013), (0.075, 0.042, 0.024),
          (0.15, 0.085, 0.045), (0.34, 0.22, 0.11), (0.55, 0.42, 0.25))
_RED = (0.26, 0.080, 0.022)


def share(value: torch.Tensor) -> torch.Tensor:
    """Share of the population below a standard normal value: uniform in 0..1."""
    return 0.5 * (1 + torch.erf(value / 2 ** 0.5))


def along(knots: tuple, place: torch.Tensor) -> torch.Tensor:
    """Colour (B, 3, 1, 1) at place (B, 1, 1, 1) in 0..1 on the line through `knots`, a tuple of colours."""
    table = torch.tensor(knots, device=place.device)
    place = place.flatten() * (len(knots) - 1)
    below = place.long().clamp(0, len(knots) - 2)
    return torch.lerp(table[below], table[below + 1], (place - below)[:, None])[:, :, None, None]


def cut(who) -> SimpleNamespace:
    """What the parameters make of the hair: loss 0..1 (1: bald), cropped 0..1, long (0: above the ears)."""
    man = torch.tanh(1.5 * who.sex)
    loss = ((who.hair_loss + 0.75 * man - 0.75) / 0.9).clamp(0, 1)
    cropped = ((-who.hair_length - 0.9 + 0.5 * man) / 0.3).clamp(0, 1)
    excess = who.hair_length - 0.75 * man - 0.15 - 2 * loss
    return SimpleNamespace(man=man, loss=loss, cropped=cropped, long=excess.clamp(min=0))


def shape(identities: torch.Tensor) -> torch.Tensor:
    """How the hair moves the head's surface: weights (B, 3) of hair_volume, hair_length, hair_curl."""
    names = ("sex", "hair_loss", "hair_length", "hair_volume", "curl")
    who = SimpleNamespace(**{name: column(identities, name) for name in names})
    style, curl = cut(who), (who.curl - 0.4).clamp(0, 1.5)
    full = (1 - style.loss) * (1 - 0.9 * style.cropped)
    volume = 0.95 + 0.45 * who.hair_volume + 1.1 * curl * (who.hair_volume > -0.3)
    hanging = (0.25 * (style.long > 0) + 0.75 * style.long).clamp(max=1.15)
    return torch.stack([full * volume.clamp(min=0.15), hanging, full * curl], 1)


def tone(c, who, melanin: torch.Tensor) -> torch.Tensor:
    """Linear colour (B, 3, 1, 1) of young hair; people of dark skin have dark hair."""
    place = (share(1.15 * who.hair_lightness) * (1.25 - 1.0 * melanin)).clamp(0, 1)
    red = ((who.hair_redness - 0.85) / 0.6).clamp(0, 1) * (1 - 1.6 * melanin).clamp(0, 1)
    warm = torch.exp(0.16 * who.hair_redness)
    plain = along(_TONES, place) * torch.cat([warm, torch.ones_like(warm), 1 / warm], 1)
    copper = torch.tensor(_RED, device=place.device)[:, None, None] * torch.exp(0.3 * who.hair_lightness)
    return torch.lerp(plain, copper, red)


def scalp(c, who) -> torch.Tensor:
    """Opacity (B, 1, H, W) of the hair on the head."""
    style = cut(who)
    width, angle = c.x.abs(), c.angle.abs()
    rough = 0.10 + 0.16 * (who.curl.clamp(-0.6, 1.6) + 0.6)
    edge = 0.16 * c.strands + 0.18 * c.locks + rough * c.curls
    temples = (0.4 + 0.6 * who.hair_recession + 0.5 * style.man).clamp(0, 2.4)
    line = (0.13 + 0.05 * who.hair_recession) * width ** 1.6 - temples * hill(((width - 3.4) / 1.5) ** 2)
    line = line - 6.4 - 0.75 * who.hair_line - 8 * style.loss ** 1.5
    fringe = 3.6 * ((who.fringe + 0.3 * style.long.clamp(max=1) - 0.6) / 1.2).clamp(0, 1) * (1 - style.loss)
    apart = torch.sign(who.parting) * 2.0  # hair falls from the parting to both sides, more to one of them
    swept = who.parting.abs().clamp(max=1.6) * 0.34 * (torch.sign(who.parting) * (apart - c.x)).clamp(-3, 6)
    fallen = fringe + swept * (1 - style.cropped) * (1 - style.loss)
    line = line + fallen * hill((width / 5.6) ** 6) * (1 + 0.25 * c.locks)
    down = 0.7 + 0.9 * who.sideburns.clamp(-1.2, 2) * (0.6 + 0.4 * style.man)
    beside = torch.minimum((angle - 1.28) * 7, down - c.y) - 4 * ear_shape(c.y, c.angle)
    behind = torch.minimum((angle - 1.95) * 7, 8.0 - c.y)
    sides = torch.maximum(beside, behind) - 9.0 * ((style.loss - 0.85) / 0.15).clamp(0, 1) * (who.curl < 0)
    inner = 1.44 - 0.15 * who.hair_inward
    curtain = torch.minimum((angle - inner) * 7, 9.0 + 9.0 * style.long - c.y)
    curtain = torch.where(style.long > 0, curtain, torch.full_like(curtain, -9.0))
    inside = torch.maximum(torch.maximum(line - c.y, sides), curtain) + edge
    return torch.sigmoid(inside / 0.22) * (1 - 0.35 * style.cropped)


def shine(c, who) -> torch.Tensor:
    """Strands (B, 1, H, W) that lighten and darken the hair, curls where it is curly."""
    curly = (0.5 + 0.5 * who.curl).clamp(0, 1)
    return torch.lerp(c.hair_shine.expand_as(who.curl * c.curls), (1 + 0.42 * c.curls).clamp(0.3, 2), curly)


def brows(c, who) -> torch.Tensor:
    """Opacity (B, 1, H, W) of the eyebrows."""
    man = torch.tanh(1.5 * who.sex)
    along_brow = (c.x.abs() - 1.25) / (3.45 + 0.32 * who.brow_length)
    arch = (0.42 + 0.28 * who.brow_arch - 0.12 * man) * hill(((along_brow - 0.62) / 0.30) ** 2)
    centre = -1.72 - 0.27 * who.brow_height - (0.28 + 0.24 * who.brow_slope) * along_brow - arch
    centre = centre + 0.35 * along_brow.clamp(min=0) ** 3
    thick = (0.34 + 0.14 * who.brow_thickness + 0.07 * man).clamp(0.10, 0.75)
    thick = thick * (1 - 0.55 * along_brow.clamp(0, 1))
    ends = step(along_brow, 0.02, 0.18) * (1 - step(along_brow, 0.95, 0.2))
    shape = hill(((c.y - centre) / thick + 0.10 * c.strands).abs() ** 3) * ends * c.front
    return shape * (0.70 + 0.18 * who.brow_darkness).clamp(0.25, 0.95)


def beard(c, who) -> torch.Tensor:
    """Opacity (B, 1, H, W) of stubble, beard and moustache: men's."""
    man = ((who.sex + 0.1) / 0.3).clamp(0, 1)
    density = 0.95 * ((who.beard + 0.2) / 1.2).clamp(0, 1) ** 0.8
    chin = hill((c.x.abs() / (2.2 + 3.5 * share(2 * who.beard_breadth + 0.8))) ** 6)
    lip = 0.92 * ((who.moustache + 0.55 * who.beard - 0.45) / 1.1).clamp(0, 1)
    return man * torch.maximum(density * chin * c.beard_area, lip * c.moustache_area).clamp(0, 0.95)
