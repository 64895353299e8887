"""Stage `diffusion`: train DifFIQA's diffusion model, one per cross-fitted part of the training faces."""
import numpy as np
import pandas as pd
import torch

from fiqa_core import project
from fiqa_core.benchmarks import FaceSet
from fiqa_core.device import default_device
from fiqa_core.diffusion.model import Diffusion, load_diffusion
from fiqa_core.diffusion.training import train_diffusion
from fiqa_core.errors import FiqaError
from fiqa_core.images import to_batch, to_pixels
from fiqa_core.pipeline.partial import forget, partial_path
from fiqa_core.pipeline.prepare import load_training, models
from fiqa_core.pipeline.settings import settings


def train_diffusion_models() -> pd.DataFrame:
    """Write build/diffusion/<model>.pt and results/diffusion/training.csv (model, step, loss); returns the log.

    Model h never sees training images whose `crossfit` is h: those are of people it will score. The clean
    side of its training pairs must be clean: `diffusion.only` names the images to train on by column and value.
    """
    faces, config, logs = load_training(), dict(settings("diffusion")), []
    clean = clean_images(faces, config.pop("only"))
    for model in models(faces):
        allowed = clean & (faces.images["crossfit"] != model).to_numpy()
        checkpoint = partial_path(f"diffusion-{model}", "04_diffusion", faces, config=config, seed=settings("seed"))
        log = checkpoint.with_name(checkpoint.name + ".csv")
        diffusion = train_diffusion(faces.pixels[allowed], {"seed": settings("seed") + model, **config}, checkpoint,
                                    default_device(), log)
        path = diffusion_path(model)
        path.parent.mkdir(parents=True, exist_ok=True)
        diffusion.save(path)
        logs.append(pd.read_csv(log).assign(model=model))
        forget(checkpoint), forget(log)
    table = pd.concat(logs, ignore_index=True)
    path = project.results() / "diffusion" / "training.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, float_format="%.6f", lineterminator="\n")
    return table


def clean_images(faces: FaceSet, only: dict) -> np.ndarray:
    """Mask of the images whose columns have the values `only` names. Raises FiqaError if there is none."""
    mask = np.ones(len(faces), dtype=bool)
    for column, value in only.items():
        mask &= (faces.images[column] == value).to_numpy() if column in faces.images else False
    if not mask.any():
        raise FiqaError(f"params.yaml, diffusion.only: no training image has {only}",
                        "name columns and values of build/training/images.csv, or {} to use all images")
    return mask


def diffusion_path(model: int):
    return project.build() / "diffusion" / f"{model}.pt"


def pipeline_diffusion(model: int = 0) -> Diffusion:
    """The trained diffusion model with index `model`, on the default device."""
    return load_diffusion(diffusion_path(model)).to(default_device())


def forward_and_backward(count: int, timestep: int = 5) -> dict[str, np.ndarray]:
    """`count` training faces, their noisy versions x_t and reconstructions, each (count, 112, 112, 3) uint8."""
    faces, diffusion, device = load_training(), pipeline_diffusion(), default_device()
    chosen = np.linspace(0, len(faces) - 1, count).astype(int)
    x = diffusion.shrink(to_batch(np.asarray(faces.pixels[chosen]), device))
    generator = torch.Generator().manual_seed(settings("seed"))
    noise = torch.randn(count, timestep, *x.shape[1:], generator=generator).to(device)
    with torch.no_grad():
        x_t = diffusion.add_noise(x, timestep, noise[:, 0])
        restored = diffusion.reconstruct(x_t, timestep, noise[:, 1:])
    pictures = {"picture": x, "x_t": x_t, "reconstruction": restored}
    return {name: to_pixels(diffusion.enlarge(value).clamp(0, 1)) for name, value in pictures.items()}
