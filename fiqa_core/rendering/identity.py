"""Who a rendered face is: independent parameters, each a standard normal number in the population.

The head is a linear morphable model, as in Blanz and Vetter, "A morphable model for the synthesis of
3D faces" (SIGGRAPH 1999): shape parameters weigh the displacement fields of `head.py`, colour
parameters steer the texture of `texture.py`. A value of 0 is the average face; +-1 is one standard
deviation of this population. What one standard deviation means (centimetres, shades) stands beside
the field or colour it moves.
"""
import torch

from fiqa_core.base.errors import FiqaError

SHAPE = (
    "head_width", "head_height", "head_depth", "temple_width", "forehead_slope", "brow_ridge",
    "cheekbone_width", "cheekbone_depth", "cheek_fullness", "jaw_width", "jaw_corner", "chin_height",
    "chin_depth", "chin_width", "chin_cleft", "nose_length", "nose_bridge", "nose_depth",
    "nose_tip_tilt", "nose_width", "nose_bridge_width", "nose_hump", "nose_tip_size", "eye_spacing",
    "eye_size", "eye_opening", "eye_tilt", "eye_depth", "eye_height", "mouth_width", "mouth_height",
    "upper_lip", "lower_lip", "lip_depth", "ear_size", "ear_angle", "neck_width", "asymmetry",
    "face_breadth", "face_length", "cheek_hollow")
COLOUR = (
    "sex", "skin_lightness", "skin_warmth", "skin_redness", "freckles", "blotches_a", "blotches_b",
    "blotches_c", "eye_bags", "eye_fold", "iris_hue", "iris_lightness", "brow_height", "brow_thickness",
    "brow_slope", "brow_arch", "brow_length", "brow_darkness", "lip_redness", "lip_darkness",
    "hair_line", "hair_recession", "hair_loss", "hair_lightness", "hair_redness", "hair_volume",
    "hair_length", "hair_inward", "fringe", "parting", "curl", "sideburns", "greying", "make_up",
    "beard", "beard_breadth", "moustache", "mole_a_x", "mole_a_y", "mole_a_size", "mole_b_x", "mole_b_y",
    "mole_b_size")
PARAMETERS = SHAPE + COLOUR
# what a person changes between two photographs: the barber, a beard, make-up
CHANGEABLE = ("fringe", "beard", "hair_length", "parting", "make_up", "hair_volume", "moustache", "sideburns")
LIMIT = 2.2  # standard deviations; beyond it faces stop looking like faces


def sample_identities(count: int, seed: int) -> torch.Tensor:
    """Draw `count` persons: float32 (count, len(PARAMETERS)) on the CPU, columns as in PARAMETERS.

    Every column is standard normal, clipped to +-2.2, and independent of all others. The same seed
    gives the same persons on every machine. Raises FiqaError if count < 1.
    """
    if count < 1:
        raise FiqaError(f"sample_identities: count is {count}", "ask for at least one identity")
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(count, len(PARAMETERS), generator=generator)
    return values.clamp_(-LIMIT, LIMIT)


def second_look(identities: torch.Tensor) -> torch.Tensor:
    """The same persons (B, len(PARAMETERS)) with hair, beard and make-up of another day, half like the first.

    It follows from the person alone: each changeable parameter takes 0.6 of its own value and 0.8 of the
    value of the next one, so that it stays standard normal.
    """
    places = torch.tensor([PARAMETERS.index(name) for name in CHANGEABLE], device=identities.device)
    own = identities[:, places]
    return identities.index_copy(1, places, (0.6 * own + 0.8 * own.roll(1, 1)).clamp(-LIMIT, LIMIT))


def column(identities: torch.Tensor, name: str) -> torch.Tensor:
    """Values (B,) of the parameter `name` in identities (B, len(PARAMETERS)). FiqaError if unknown."""
    if name not in PARAMETERS:
        raise FiqaError(f"unknown identity parameter {name!r}", "choose from " + ", ".join(PARAMETERS))
    return identities[:, PARAMETERS.index(name)]
