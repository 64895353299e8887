"""Less real on purpose: the same persons and the same nuisance with parts of the renderer left out.

Sets of different realism show what a quality method makes of faces that are recognisable but not real, as the
generated faces of synthetic training sets are.
"""
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from fiqa_core.rendering import texture


@dataclass(frozen=True)
class Realism:
    """What the renderer leaves out.

    light    False: light from everywhere, no shadow side and no highlight
    skin     False: one colour for the whole head, as of unpainted clay
    facets   every how many-th line of the mesh is kept; 1: all, larger: flat facets with edges
    """

    light: bool = True
    skin: bool = True
    facets: int = 1


FULL = Realism()
LEVELS = {"full renderer": FULL, "flat light": Realism(light=False), "coarse mesh": Realism(facets=12),
          "clay": Realism(skin=False), "clay, coarse, flat": Realism(light=False, skin=False, facets=12)}


def coarse(points: torch.Tensor, facets: int) -> torch.Tensor:
    """Points (B, 3, ROWS, COLUMNS) on a mesh of every `facets`-th line, flat in between."""
    if facets == 1:
        return points
    rows, columns = points.shape[-2:]
    kept = (rows // facets + 1, columns // facets + 1)
    few = F.interpolate(points, kept, mode="bilinear", align_corners=True)
    return F.interpolate(few, (rows, columns), mode="bilinear", align_corners=True)


def clay(paint: torch.Tensor) -> torch.Tensor:
    """Texture (B, CHANNELS, H, W) in the colour of each person's cheek, without gloss, hair or wrinkles."""
    row, column = texture.CHEEK
    plain = torch.zeros_like(paint)
    plain[:, :3] = paint[:, :3, row, column][:, :, None, None]
    return plain
