"""Stage `diffusion`: train DifFIQA's diffusion model, one per cross-fitted part of the training faces."""
import numpy as np
import pandas as pd
import torch

from fiqa_core.base import project
from fiqa_core.base.device import default_device
from fiqa_core.base.images import to_batch, to_pixels
from fiqa_core.base.project import settings
from fiqa_core.loading import load_diffusion, load_shipped, save_diffusion
from fiqa_core.pipeline.outputs import (crossfit, diffusion_path, load_sets, load_training, matching,
                                        pipeline_diffusion)
from fiqa_core.pipeline.stage_files import copy_checked, log_path, read_log, write_rows
from fiqa_core.training.diffusion import train_diffusion


def train_diffusion_models() -> pd.DataFrame:
    """Write build/diffusion/<model>.pt and results/diffusion/training.csv (model, step, loss); returns the log.

    Model h never sees training images whose `crossfit` is h: those are of people it will score. The clean
    side of its training pairs must be clean: `diffusion.only` names the images to train on by column and value.
    With `diffusion.checkpoint` the authors' file is taken instead, for all parts, with `diffusion.shipped` the one
    that ships, and the log is empty; so it is in a suite whose section `diffusion` is empty, because none of its methods needs such a model.
    """
    config, seed = dict(settings("diffusion")), settings("seed")
    if "checkpoint" in config:
        copy_checked(config["checkpoint"], diffusion_path(0), load_diffusion)
    if "shipped" in config:
        save_diffusion(load_shipped(config["shipped"]), diffusion_path(0))
    trained = config and not {"checkpoint", "shipped"} & {*config}
    faces, logs = load_training() if trained else None, [pd.DataFrame({"step": [], "loss": [], "model": []})]
    clean = matching(faces, config.pop("only"), "diffusion.only") if trained else None
    for model, allowed, partial in crossfit(faces, "diffusion", "04_diffusion", config=config, seed=seed):
        diffusion = train_diffusion(faces.pixels, {"seed": seed + model, **config}, partial, default_device(),
                                    log_path(partial), np.flatnonzero(clean & allowed))
        save_diffusion(diffusion, diffusion_path(model))
        logs.append(read_log(partial).assign(model=model))
    diffusion_path(0).parent.mkdir(parents=True, exist_ok=True)
    table = pd.concat(logs[1:] or logs, ignore_index=True)
    write_rows(table, project.results() / "diffusion" / "training.csv")
    return table


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
