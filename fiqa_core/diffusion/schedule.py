"""Noise schedule and sampler of DifFIQA, as pure functions (Nichol & Dhariwal 2021; Song et al. 2021, DDIM).

Tables are computed in float64 and cast to float32 last, which is how the published checkpoint holds them.
"""
import math

import torch

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
