"""DifFIQA's diffusion model: noise schedule, forward process, sampler (DDIM), and the model that joins them.

Schedule and sampler are pure functions (Nichol and Dhariwal, ICML 2021; Song, Meng and Ermon, ICLR 2021). The
tables are computed in float64 and cast to float32 last, which is how the published checkpoint holds them.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn

from fiqa_core.base.errors import FiqaError
from fiqa_core.kernels.unet import GROUPS, UNet

STEPS = 1000


def cosine_betas(steps: int = STEPS, s: float = 0.008) -> torch.Tensor:
    """Noise added at each step, (steps,) float64, clipped to [0, 0.999]."""
    t = torch.linspace(0, steps, steps + 1, dtype=torch.float64)
    kept = torch.cos((t / steps + s) / (1 + s) * math.pi / 2) ** 2
    kept = kept / kept[0]
    return (1 - kept[1:] / kept[:-1]).clamp(0, 0.999)


def tables(steps: int = STEPS) -> dict[str, torch.Tensor]:
    """The 13 float32 tables of length `steps` that the published checkpoint carries, by their names there."""
    betas = cosine_betas(steps)
    alphas = 1 - betas
    abar = alphas.cumprod(0)
    before = torch.cat((torch.ones(1, dtype=torch.float64), abar[:-1]))
    variance = betas * (1 - before) / (1 - abar)
    named = {
        "betas": betas, "alphas_cumprod": abar, "alphas_cumprod_prev": before,
        "sqrt_alphas_cumprod": abar.sqrt(), "sqrt_one_minus_alphas_cumprod": (1 - abar).sqrt(),
        "log_one_minus_alphas_cumprod": (1 - abar).log(),
        "sqrt_recip_alphas_cumprod": (1 / abar).sqrt(), "sqrt_recipm1_alphas_cumprod": (1 / abar - 1).sqrt(),
        "posterior_variance": variance, "posterior_log_variance_clipped": variance.clamp(min=1e-20).log(),
        "posterior_mean_coef1": betas * before.sqrt() / (1 - abar),
        "posterior_mean_coef2": (1 - before) * alphas.sqrt() / (1 - abar),
        "p2_loss_weight": torch.ones_like(betas),
    }
    return {name: table.float() for name, table in named.items()}


def add_noise(x, t: torch.Tensor | int, noise, abar) -> torch.Tensor:
    """x_t = sqrt(abar[t]) x + sqrt(1 - abar[t]) noise; x, noise (B, ...), t an index or (B,) of them."""
    kept = abar[t].reshape(-1, *[1] * (x.ndim - 1))
    return kept.sqrt() * x + (1 - kept).sqrt() * noise


def ddim_indices(t: int, skip_idle: bool = True) -> list[int]:
    """Time indices of the sampler from t, ending in -1: int(linspace(-1, t-1, t+2)) reversed.

    Truncation makes 0 appear twice; the step from 0 to 0 returns its input unchanged (sigma = 0), so it is
    left out unless `skip_idle` is False: t = 5 gives 4, 3, 2, 1, 0, -1.
    """
    indices = [int(index) for index in torch.linspace(-1, t - 1, t + 2, dtype=torch.float64).tolist()][::-1]
    return list(dict.fromkeys(indices)) if skip_idle else indices


def ddim_step(x, x0, a, a_next, eta: float, z):
    """One DDIM step from x at abar = a to abar = a_next, given the predicted clean image x0 (all (B, ...)).

    sigma = eta sqrt((1 - a/a')(1 - a')/(1 - a));  x' = sqrt(a') x0 + sqrt(1 - a' - sigma^2) noise + sigma z.
    """
    noise = (x - a.sqrt() * x0) / (1 - a).sqrt()                    # the noise that x0 implies
    sigma = eta * ((1 - a / a_next) * (1 - a_next) / (1 - a)).sqrt()
    return a_next.sqrt() * x0 + (1 - a_next - sigma ** 2).clamp(min=0).sqrt() * noise + sigma * z


def reconstruct(denoise, x: torch.Tensor, t: int, abar: torch.Tensor, z: torch.Tensor, eta: float = 1.0):
    """Backward process: the clean images that the model sees in x_t = `x` (B, 3, S, S), in [-1, 1].

    denoise   `denoise(x, time (B,)) -> x0`, called t times
    z         (B, t - 1, 3, S, S) standard normal noise, one picture per step that adds noise
    """
    indices = ddim_indices(t)
    for step, (now, after) in enumerate(zip(indices[:-1], indices[1:])):
        x0 = denoise(x, torch.full((len(x),), now, device=x.device)).clamp(-1, 1)
        if after < 0:
            return x0
        x = ddim_step(x, x0, abar[now], abar[after], eta, z[:, step])
    return x


FACE = 112


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
        for name, table in tables().items():
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
        return add_noise(x, t, noise, self.alphas_cumprod)

    def reconstruct(self, x: torch.Tensor, t: int, z: torch.Tensor, eta: float = 1.0) -> torch.Tensor:
        """x_hat from x_t, see the function `reconstruct`."""
        return reconstruct(self.model, x, t, self.alphas_cumprod, z, eta)
