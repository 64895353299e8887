"""Stage `diffusion`: train DifFIQA's diffusion model, one per cross-fitted part of the training faces."""
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from fiqa_core.base import project
from fiqa_core.base.device import default_device
from fiqa_core.base.images import to_batch, to_pixels
from fiqa_core.base.project import settings
from fiqa_core.kernels.diffusion import Diffusion
from fiqa_core.loading import load_diffusion, save_diffusion
from fiqa_core.pipeline.checkpoint import copy_checked
from fiqa_core.pipeline.prepare import allowed, load_sets, load_training, matching, models
from fiqa_core.pipeline.stage_files import forget, partial_path
from fiqa_core.training.diffusion import train_diffusion


def train_diffusion_models() -> pd.DataFrame:
    """Write build/diffusion/<model>.pt and results/diffusion/training.csv (model, step, loss); returns the log.

    Model h never sees training images whose `crossfit` is h: those are of people it will score. The clean
    side of its training pairs must be clean: `diffusion.only` names the images to train on by column and value.
    With `diffusion.checkpoint` the authors' file is taken instead, for all parts, and the log is empty; so it
    is in a suite whose section `diffusion` is empty, because none of its methods needs such a model.
    """
    config, path = dict(settings("diffusion")), project.results() / "diffusion" / "training.csv"
    table = pd.DataFrame({"step": [], "loss": [], "model": []})
    diffusion_path(0).parent.mkdir(parents=True, exist_ok=True)
    if "checkpoint" in config:
        copy_checked(config["checkpoint"], diffusion_path(0), load_diffusion)
    elif config:
        table = _train(config)
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, float_format="%.6f", lineterminator="\n")
    return table


def _train(config: dict) -> pd.DataFrame:
    """Train and save all cross-fitted models; returns their logs."""
    faces, logs = load_training(), []
    clean = matching(faces, config.pop("only"), "diffusion.only")
    for model in models(faces):
        checkpoint = partial_path(f"diffusion-{model}", "04_diffusion", faces, config=config,
                                  seed=settings("seed"))
        log = checkpoint.with_name(checkpoint.name + ".csv")
        diffusion = train_diffusion(faces.pixels[clean & allowed(faces, model)],
                                    {"seed": settings("seed") + model, **config}, checkpoint, default_device(), log)
        path = diffusion_path(model)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_diffusion(diffusion, path)
        logs.append(pd.read_csv(log).assign(model=model))
        forget(checkpoint), forget(log)
    return pd.concat(logs, ignore_index=True)


def diffusion_path(model: int) -> Path:
    """Where diffusion model `model` is kept; a user's checkpoint serves all parts."""
    number = 0 if "checkpoint" in settings("diffusion") else model
    return project.build() / "diffusion" / f"{number}.pt"


def pipeline_diffusion(model: int = 0) -> Diffusion:
    """The trained diffusion model with index `model`, on the default device."""
    return load_diffusion(diffusion_path(model)).to(default_device())


def forward_and_backward(count: int, timestep: int = 5) -> dict[str, np.ndarray]:
    """`count` faces, their noisy versions x_t and reconstructions, each (count, 112, 112, 3) uint8.

    They are training faces, or of the first benchmark where there are none; {} without a diffusion model.
    """
    if not settings("diffusion"):
        return {}
    faces, diffusion, device = next(iter(load_sets().values())), pipeline_diffusion(), default_device()
    chosen = np.linspace(0, len(faces) - 1, count).astype(int)
    x = diffusion.shrink(to_batch(np.asarray(faces.pixels[chosen]), device))
    generator = torch.Generator().manual_seed(settings("seed"))
    noise = torch.randn(count, timestep, *x.shape[1:], generator=generator).to(device)
    with torch.no_grad():
        x_t = diffusion.add_noise(x, timestep, noise[:, 0])
        restored = diffusion.reconstruct(x_t, timestep, noise[:, 1:])
    pictures = {"picture": x, "x_t": x_t, "reconstruction": restored}
    return {name: to_pixels(diffusion.enlarge(value).clamp(0, 1)) for name, value in pictures.items()}
