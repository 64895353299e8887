"""Extended training of DifFIQA's diffusion model (IJCB 2023): undoing noise and degradation at once."""
import math
from pathlib import Path

import numpy as np
import torch

from fiqa_core.diffusion.degradation import degrade
from fiqa_core.diffusion.model import Diffusion
from fiqa_core.diffusion.unet import UNet
from fiqa_core.errors import FiqaError
from fiqa_core.images import to_batch
from fiqa_core.methods.resume import Resume, fingerprint, write_log
from fiqa_core.progress import progress

# The published run: batches of 16, gradients of 4 of them accumulated, 100 000 steps, constant rate.
PAPER = dict(dim=128, multipliers=(1, 2, 4, 8), size=112, heads=4, head_dim=32, steps=100_000, batch=64,
             learning_rate=8e-5, decay=False, time_bound=100, identity_start=False, seed=0, log_every=100)
NETWORK = ("dim", "multipliers", "size", "heads", "head_dim")
COLUMNS = ("step", "loss")


def blend(clean, degraded, t: torch.Tensor, bound: int) -> torch.Tensor:
    """x_mix = (1 - a) hq + a lq with a = sin(t / T * pi / 2), T = bound; t (B,) time indices."""
    a = torch.sin(t / bound * (math.pi / 2)).reshape(-1, 1, 1, 1)
    return (1 - a) * clean + a * degraded


def training_pair(diffusion: Diffusion, images, config: dict, generator: torch.Generator):
    """(x_t, t, hq) of a batch of images (B, 3, 112, 112): what the network sees, when, and must return."""
    flipped = (torch.rand(len(images), generator=generator) < 0.5).to(images.device)
    images = torch.where(flipped[:, None, None, None], images.flip(3), images)
    hq = diffusion.shrink(images)                                           # [-1, 1]
    lq = 2 * degrade((hq + 1) / 2, generator) - 1
    t = torch.randint(config["time_bound"], (len(hq),), generator=generator).to(hq.device)
    noise = torch.randn(hq.shape, generator=generator).to(hq.device)
    return diffusion.add_noise(blend(hq, lq, t, config["time_bound"]), t, noise), t, hq


def train_diffusion(pixels: np.ndarray, config: dict | None = None, checkpoint: Path | None = None,
                    device="cpu", log: Path | None = None) -> Diffusion:
    """A `Diffusion` trained on faces, frozen and in eval mode.

    pixels       (N, 112, 112, 3) uint8, faces of good quality
    config       overrides of PAPER. For short runs: decay lowers the learning rate to 0 along a half cosine,
                 identity_start begins with a network that returns its input
    checkpoint   state file: an interrupted run continues from it with the same result; None: no saving
    log          CSV of the mean loss of every `log_every` steps

    The noise of step i follows from (seed, i) alone. Raises FiqaError for unfit input.
    """
    unknown = set(config or {}) - set(PAPER)
    if unknown:
        raise FiqaError(f"unknown diffusion parameters {sorted(unknown)}", f"use {', '.join(PAPER)}")
    config = {**PAPER, **(config or {})}
    if not len(pixels):
        raise FiqaError("no faces to train the diffusion model on", "give pixels (N, 112, 112, 3)")
    torch.manual_seed(config["seed"])                                       # initial weights
    diffusion = Diffusion(**{name: config[name] for name in NETWORK}).to(device).train()
    if config["identity_start"]:
        start_as_identity(diffusion.model)
    optimiser = torch.optim.Adam(diffusion.parameters(), lr=config["learning_rate"], betas=(0.9, 0.99))
    resume = Resume(checkpoint, f"diffusion {sorted(config.items())} {fingerprint(pixels)}")
    state = _restore(resume.load(), diffusion, optimiser)
    for step in progress(range(state["step"], config["steps"]), "train diffusion", unit="steps"):
        state["sum"] += _step(diffusion, optimiser, pixels, step, config, device)
        state["step"] = step + 1
        if (step + 1) % config["log_every"] == 0:
            state["log"].append([step + 1, state["sum"] / config["log_every"]])
            state["sum"] = 0.0
            write_log(log, COLUMNS, state["log"])
        resume.save({**state, "model": diffusion.state_dict(), "optimiser": optimiser.state_dict()},
                    always=step + 1 == config["steps"])
    write_log(log, COLUMNS, state["log"])
    return diffusion.eval().requires_grad_(False)


@torch.no_grad()
def start_as_identity(unet: UNet) -> None:
    """Weights with which the U-Net returns its input: colours pass from the stem to the output, and the last
    residual branch, which all other layers feed, starts at zero."""
    stem, last, out = unet.init_conv, unet.final_res_block, unet.final_conv
    width, colours, centre = stem.out_channels, stem.in_channels, stem.kernel_size[0] // 2
    for layer in (last.res_conv, out):
        layer.weight.zero_()
        layer.bias.zero_()
    stem.weight[:colours] = 0
    stem.bias[:colours] = 0
    for colour in range(colours):
        stem.weight[colour, colour, centre, centre] = 1
        last.res_conv.weight[colour, width + colour] = 1            # input: decoder, then stem
        out.weight[colour, colour] = 1
    last.block2.norm.weight.zero_()
    last.block2.norm.bias.zero_()


def _restore(saved: dict | None, diffusion: Diffusion, optimiser) -> dict:
    if saved is None:
        return {"step": 0, "sum": 0.0, "log": []}
    diffusion.load_state_dict(saved["model"])
    optimiser.load_state_dict(saved["optimiser"])
    return {key: saved[key] for key in ("step", "sum", "log")}


def _step(diffusion, optimiser, pixels, step: int, config: dict, device) -> float:
    """One optimiser step; returns its loss, MSE(UNet(x_t, t), hq)."""
    generator = torch.Generator().manual_seed(config["seed"] * 1_000_003 + step)
    rows = torch.randint(len(pixels), (config["batch"],), generator=generator).sort()[0]
    x, t, hq = training_pair(diffusion, to_batch(pixels[rows.numpy()], device), config, generator)
    if config["decay"]:
        for group in optimiser.param_groups:
            group["lr"] = config["learning_rate"] * (1 + math.cos(math.pi * step / config["steps"])) / 2
    loss = (diffusion.model(x, t) - hq).square().mean()
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
    return loss.item()
