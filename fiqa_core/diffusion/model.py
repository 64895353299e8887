"""`Diffusion`: the U-Net, its schedule and the size at which it works, with loading and saving."""
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from fiqa_core.diffusion import schedule
from fiqa_core.diffusion.unet import GROUPS, UNet
from fiqa_core.errors import FiqaError
from fiqa_core.weights.fit import Undrawn, load_strictly
from fiqa_core.weights.formats.pytorch import write_atomically
from fiqa_core.weights.tensors import locate, read_tensors

FACE = 112
REMEDY = ("run the stage that trains it (make repro), or give another path, such as the authors' "
          "(python -m fiqa_core weights list)")


class Diffusion(nn.Module):
    """A diffusion model that predicts the clean face x0, for faces of 112x112.

    dim, multipliers, heads, head_dim: of the U-Net. size: side at which it works; 112, or a divisor of 112:
    a face is then averaged down to it and results are repeated up, so that the smaller picture is exactly
    what a recogniser sees that averages the same squares.

    Raises FiqaError where the sizes do not fit together.
    """

    def __init__(self, dim: int = 128, multipliers=(1, 2, 4, 8), size: int = FACE, heads: int = 4,
                 head_dim: int = 32):
        super().__init__()
        if dim % GROUPS:
            raise FiqaError(f"diffusion.dim is {dim}, not a multiple of {GROUPS}", "use 8, 16, ... 128")
        if FACE % size or size % 2 ** (len(multipliers) - 1):
            raise FiqaError(f"diffusion.size is {size}, unfit for 112 or {len(multipliers)} levels",
                            "use 56 or 112 with at most 4 levels, 28 with at most 3")
        self.config = dict(dim=dim, multipliers=tuple(multipliers), size=size, heads=heads, head_dim=head_dim)
        self.size = size
        self.model = UNet(dim, tuple(multipliers), heads=heads, head_dim=head_dim)
        for name, table in schedule.tables().items():
            self.register_buffer(name, table)

    def shrink(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, 112, 112) in [0, 1] -> (B, 3, size, size) in [-1, 1]."""
        images = images if self.size == FACE else F.avg_pool2d(images, FACE // self.size)
        return 2 * images - 1

    def enlarge(self, x: torch.Tensor) -> torch.Tensor:
        """The way back: (B, 3, size, size) in [-1, 1] -> (B, 3, 112, 112) in [0, 1] by repetition."""
        images = (x + 1) / 2
        if self.size == FACE:
            return images
        return F.interpolate(images, scale_factor=FACE // self.size, mode="nearest")

    def add_noise(self, x: torch.Tensor, t: torch.Tensor | int, noise: torch.Tensor) -> torch.Tensor:
        """x_t of the shrunken images x (B, 3, size, size); noise of the same shape."""
        return schedule.add_noise(x, t, noise, self.alphas_cumprod)

    def reconstruct(self, x: torch.Tensor, t: int, z: torch.Tensor, eta: float = 1.0) -> torch.Tensor:
        """x_hat from x_t, see `schedule.reconstruct`."""
        return schedule.reconstruct(self.model, x, t, self.alphas_cumprod, z, eta)

    def save(self, path: Path) -> None:
        """Write {"config", "state"}, whole or not at all."""
        state = {key: value.detach().cpu() for key, value in self.state_dict().items()}
        write_atomically({"config": self.config, "state": state}, path)


def load_diffusion(path: str | Path) -> Diffusion:
    """A trained model, in eval mode and frozen: a file of `Diffusion.save`, or the published checkpoint.

    path   here or in the weights folder
    Raises FiqaError for a missing, damaged or unfit file; it says which keys are at fault.
    """
    path = locate(path, REMEDY)
    content = read_tensors(path)
    if "config" not in content:
        return load_official(path)
    return _fill(content["config"], content.get("state", {}), path)


def load_official(path: str | Path, **config) -> Diffusion:
    """The published `diff_pretrain.pt`: raw weights `model` (13 tables and `model.*`), not the EMA copy.

    config: arguments of `Diffusion` where the file is not of the published width. Raises FiqaError.
    """
    path = locate(path, REMEDY)
    content = read_tensors(path)
    if not isinstance(content.get("model"), dict):
        raise FiqaError(f"{path} is no diffusion checkpoint: it holds no `model`",
                        "give the authors' diff_pretrain.pt or a file that the stage diffusion wrote")
    return _fill(config, content["model"], path)


def _fill(config: dict, state: dict, path: Path) -> Diffusion:
    with Undrawn():
        diffusion = Diffusion(**config)
    load_strictly(diffusion, state, f"{path} as a diffusion model")
    return diffusion.eval().requires_grad_(False)
