"""What stands behind a person: a wall, a room or the open air, out of focus, and the shoulders."""
import torch
import torch.nn.functional as F

# linear colours of clothes, and of walls, wood, leaves and sky
_FABRIC = ((0.02, 0.02, 0.025), (0.05, 0.06, 0.10), (0.55, 0.56, 0.58), (0.10, 0.16, 0.32),
           (0.36, 0.05, 0.05), (0.09, 0.20, 0.12), (0.30, 0.26, 0.20), (0.75, 0.74, 0.72),
           (0.14, 0.14, 0.15), (0.45, 0.30, 0.38))
_WALLS = ((0.80, 0.80, 0.78), (0.45, 0.44, 0.43), (0.020, 0.020, 0.022), (0.10, 0.10, 0.11),
          (0.16, 0.30, 0.55), (0.05, 0.09, 0.20), (0.36, 0.23, 0.13), (0.13, 0.075, 0.045),
          (0.10, 0.17, 0.06), (0.045, 0.075, 0.03), (0.55, 0.48, 0.36), (0.30, 0.035, 0.03),
          (0.40, 0.55, 0.75), (0.62, 0.60, 0.55))
_SHAPES = 4
_COARSE = 56


def background(patches: torch.Tensor, style: torch.Tensor, size: int) -> torch.Tensor:
    """Linear light (B, 3, size, size) behind the head.

    patches (B, 3, 5, 5) and style (B, 16) uniform random numbers: of soft patches of light, and of the
    colours, edges and focus of _SHAPES straight-edged areas. One picture in three shows a plain wall.
    """
    axis = torch.linspace(-1, 1, _COARSE, device=style.device)
    x, y = axis[None, None, :], axis[None, :, None]
    soft = F.interpolate(patches, (_COARSE, _COARSE), mode="bicubic", align_corners=True).clamp(0, 1)
    s = style[:, :, None, None]
    picture = _chosen(_WALLS, s[:, 0]) * (0.5 + 0.9 * s[:, 2:3])
    busy = (s[:, 1:2] > 0.33) * 1.0
    grey = soft.mean(1, keepdim=True)
    picture = picture * (1 + (0.15 + 0.65 * busy) * (grey - 0.5) + 0.5 * (s[:, 2:3] - 0.5) * y[:, None])
    sharp = 5 + 50 * s[:, 3] ** 1.5
    for k in range(_SHAPES):
        turn, place = s[:, 4 + k], 2.4 * s[:, 8 + k] - 1.2
        angle = torch.where(turn < 0.7, (turn * 10).floor() * (torch.pi / 2), turn * 2 * torch.pi)
        side = torch.sigmoid((x * angle.cos() + y * angle.sin() - place) * sharp).unsqueeze(1)
        colour = _chosen(_WALLS, patches[:, :1, 1:2, k:k + 1]) * (0.4 + patches[:, :1, 2:3, k:k + 1])
        picture = torch.lerp(picture, colour * (0.6 + 0.8 * grey), side * busy * (0.6 + 0.4 * s[:, 12:13]))
    return _shoulders(F.interpolate(picture, (size, size), mode="bilinear", align_corners=True), patches, s)


def _chosen(colours, number):
    """One of `colours` (B, 3, 1, 1) for each uniform number."""
    table = torch.tensor(colours, device=number.device)
    return table[(number.flatten() * len(table)).long()][:, :, None, None]


def _shoulders(picture, patches, s):
    """Clothes in the lower corners."""
    axis = torch.linspace(-1, 1, picture.shape[-1], device=picture.device)
    edge = 0.50 + 0.45 * s[:, 13:14] + 0.30 * (axis[None, None, None].abs() - 0.7)
    inside = torch.sigmoid((axis[None, None, :, None] - edge) * 40)
    cloth = _chosen(_FABRIC, s[:, 14]) * (0.6 + 0.8 * s[:, 15:16])
    return torch.lerp(picture, (cloth * (0.75 + 0.5 * patches[:, :1, 3:4, :1])).expand_as(picture), inside)
