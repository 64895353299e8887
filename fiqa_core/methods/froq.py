"""FROQ: the norms of a few layers tell the quality (Babnik, Jain, Peer, Struc, IJCB 2025, arXiv 2509.17689).

Some intermediate representations of a recogniser are long for good faces and short for bad ones. Which ones
is found once, without training: on a few hundred faces with pseudo-quality labels, layers are added greedily
as long as the Spearman correlation of the mean of their norms with the labels grows. Scoring is then a single
forward pass. The labels are the mean of three components, each the mean cosine between the face's embedding
and those of disturbed copies: mirrored, with faint noise, with small occlusions; they take dozens of passes.

Left open by the descriptions and decided here: observed are all layers without parts (convolutions, norms,
activations, linear layers); the norms are averaged as they are; the search stops at the first layer that
brings nothing; noise is mixed in as (1 - alpha) x + alpha n with standard normal n on the images' scale of
[0, 1]; an occluded cell turns mid-grey, the zero of most recognisers' input.
"""
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from scipy.stats import rankdata
from torch import nn

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.base.files import write_csv
from fiqa_core.base.images import to_batch
from fiqa_core.base.method import Method
from fiqa_core.base.progress import progress
from fiqa_core.kernels import noise
from fiqa_core.kernels.chunks import Chunks, activation_bytes, check_images, embed
from fiqa_core.recognisers.precision import full_float32
from fiqa_core.recognisers.trunk import observable_layers, watched
from fiqa_core.training.fitting import Resume, run_identity, settings_of

GREY = 0.5


def pseudo_quality(recogniser, images: torch.Tensor, alphas=(0.001,), draws: int = 5, cell: int = 14,
                   seed: int = noise.DEFAULT_SEED, chunks: Chunks | None = None) -> torch.Tensor:
    """Labels (B,) float32 of images (B, 3, 112, 112) float32 in [0, 1], in [-1, 1].

    alphas  strengths of the noise; draws: noise images of each strength
    cell    side in pixels of the squares of the grid that are occluded one at a time; divides 112
    seed    of the noise, which belongs to the image's content
    Raises FiqaError for unfit images or parameters.
    """
    if cell < 1 or 112 % cell or draws < 1 or not len(alphas):
        raise FiqaError(f"cell is {cell}, draws {draws}, alphas {list(alphas)}",
                        "use a cell that divides 112, and at least one draw of one strength")
    check_images(images)
    chunks = chunks or Chunks()
    disturbances = [(1, lambda rows, numbers: images[rows].flip(3)),
                    _noise(images, alphas, draws, seed), _occlusion(images, cell)]
    with full_float32():
        y = embed(recogniser, images, chunks)
        return torch.stack([_similarity(recogniser, images, y, count, disturb, chunks)
                            for count, disturb in disturbances]).mean(dim=0)


def _similarity(recogniser, images, y, count: int, disturb: Callable, chunks: Chunks) -> torch.Tensor:
    """Mean cosine (B,) of y (B, D) to the embeddings of `count` copies of each image.

    disturb  (rows, numbers) of N copies, (N,) each -> the copies (N, 3, 112, 112)
    """
    if not len(images):
        return images.new_zeros(0)

    @torch.no_grad()
    def kernel(first, last):
        index = torch.arange(first, last, device=images.device)
        rows = index // count
        return F.cosine_similarity(y[rows], recogniser(disturb(rows, index % count)), dim=1)

    size = chunks.size("embed", lambda: activation_bytes(recogniser, (images[:1],), False), images.device)
    return chunks.run(kernel, len(images) * count, size).unflatten(0, (len(images), count)).mean(dim=1)


def _noise(images, alphas, draws: int, seed: int) -> tuple[int, Callable]:
    """Number of noisy copies of an image, and what makes them: copy i has noise i // A and strength i % A."""
    keys, strengths = noise.content_keys(images), torch.tensor(alphas, device=images.device)

    def disturb(rows, numbers):
        labels = zip(rows.tolist(), (numbers // len(strengths)).tolist())
        generators = [noise.sample_generator(seed, keys[row], draw) for row, draw in labels]
        drawn = noise.normal(generators, images.shape[1:], images.device)
        return images[rows].lerp(drawn, strengths[numbers % len(strengths)].view(-1, 1, 1, 1))

    return len(strengths) * draws, disturb


def _occlusion(images, cell: int) -> tuple[int, Callable]:
    """Number of cells of the grid, and what covers one of them, row by row."""
    side = images.shape[3] // cell
    place = torch.arange(images.shape[3], device=images.device) // cell
    numbers_of_pixels = place[:, None] * side + place

    def disturb(rows, numbers):
        covered = numbers_of_pixels == numbers.view(-1, 1, 1, 1)
        return images[rows].masked_fill(covered, GREY)

    return side * side, disturb


DEFAULTS = dict(images=300, most=10, alphas=(0.001,), draws=5, cell=14, seed=0)
SHARD = 32                                      # images between two chances to save; fixed, so that a resumed
                                                # calibration cuts its batches as an uninterrupted one does


class FROQ(nn.Module):
    """Images (B, 3, 112, 112) float32 RGB in [0, 1] -> quality (B,) float32, >= 0.

    backbone    a frozen Recogniser
    layers      names of the observed layers of its network, as `train_froq` finds them
    budget      bytes of activations at once; None: chosen for the device

    An image's score does not depend on its batch. Raises FiqaError for unfit images or unknown layers.
    """

    def __init__(self, backbone: nn.Module, layers: list[str], budget: int | None = None):
        known = dict(backbone.network.named_modules())
        unknown = [name for name in layers if name not in known]
        if unknown or not layers or len(set(layers)) < len(layers):
            raise FiqaError(f"FROQ observes layers {list(layers)}; the recogniser lacks {unknown}",
                            "name each layer once, and calibrate FROQ for this recogniser")
        super().__init__()
        self.recogniser, self.layers = backbone, list(layers)
        self.observed = [known[name] for name in layers]
        self.chunks = Chunks(budget)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.norms(images).mean(dim=1)

    @torch.no_grad()
    def norms(self, images: torch.Tensor) -> torch.Tensor:
        """L2 norms (B, L) of the outputs of the observed layers, in the order of `layers`."""
        if not len(check_images(images)):
            return images.new_zeros(0, len(self.layers))

        def kernel(first, last):
            found = {}

            def note(layer, entered, left):
                found[layer] = left.reshape(last - first, -1).norm(dim=1)

            with watched(self.observed, note):
                self.recogniser(images[first:last])
            return torch.stack([found[layer] for layer in self.observed], dim=1)

        size = self.chunks.size("observe", lambda: activation_bytes(self.recogniser, (images[:1],), False),
                                images.device)
        with full_float32():
            return self.chunks.run(kernel, len(images), size)


def train_froq(faces: FaceSet, recogniser: nn.Module, config: dict | None = None,
               checkpoint: Path | None = None, device="cpu", log: Path | None = None) -> FROQ:
    """FROQ calibrated for a recogniser; `FROQ(recogniser, result.layers)` rebuilds it.

    faces       calibration images are drawn from them
    config      overrides of DEFAULTS: images (calibration images), most (layers), seed, and the options of
                `pseudo_quality`: alphas, draws, cell
    checkpoint  state file: an interrupted calibration continues from it with the same result; None: no saving
    log         CSV of the chosen layers and of the correlation that the mean norm of all so far reaches

    Raises FiqaError for unknown parameters or less than two faces.
    """
    config = settings_of(config, DEFAULTS)
    rows = np.random.default_rng(config["seed"]).permutation(len(faces))[:config["images"]]
    if len(rows) < 2:
        raise FiqaError(f"FROQ is calibrated on {len(rows)} faces",
                        "give at least two faces, better hundreds")
    recogniser, pixels = recogniser.to(device), np.asarray(faces.pixels[np.sort(rows)])
    sample = recogniser.prepare(to_batch(pixels[:2], device))
    observer = FROQ(recogniser, list(observable_layers(recogniser.network, sample)))
    first_weights = next(recogniser.network.parameters()).detach().cpu().numpy()
    resume = Resume(checkpoint, run_identity(f"froq {observer.layers}", config, pixels, first_weights))
    norms, labels = _observe(observer, pixels, config, resume, device)
    chosen = choose_layers(norms.numpy(), labels.numpy(), config["most"])
    reached = rank_correlations(norms.numpy()[:, chosen].cumsum(axis=1), labels.numpy())
    if log is not None:
        table = pd.DataFrame({"layer": [observer.layers[index] for index in chosen], "spearman": reached})
        write_csv(table, log)
    return FROQ(recogniser, [observer.layers[index] for index in chosen])


def _observe(observer: FROQ, pixels, config: dict, resume: Resume,
             device) -> tuple[torch.Tensor, torch.Tensor]:
    """Norms (N, L) and labels (N,) of all calibration images, on the CPU."""
    state = resume.load() or {"norms": [], "labels": []}
    options = {key: config[key] for key in ("alphas", "draws", "cell", "seed")}
    starts = range(len(state["labels"]) * SHARD, len(pixels), SHARD)
    for first in progress(starts, "calibrate FROQ", len(starts) * SHARD, "images", weight=lambda _: SHARD):
        images = to_batch(pixels[first:first + SHARD], device)
        labels = pseudo_quality(observer.recogniser, images, chunks=observer.chunks, **options)
        state["norms"].append(observer.norms(images).cpu())
        state["labels"].append(labels.cpu())
        resume.save(state, always=first + SHARD >= len(pixels))
    return torch.cat(state["norms"]), torch.cat(state["labels"])


def choose_layers(norms: np.ndarray, labels: np.ndarray, most: int = 10) -> list[int]:
    """Indices of the layers whose mean norm follows the labels best, found greedily, in order of choice.

    norms (N, L), labels (N,). Begins with the best single layer; at most `most` layers. Raises FiqaError for
    values that are not finite and for labels that are all equal.
    """
    if not np.isfinite(norms).all() or not np.isfinite(labels).all() or np.ptp(labels) == 0:
        raise FiqaError("norms or pseudo-quality labels of FROQ are not finite, or all labels are equal",
                        "calibrate on faces of different quality, with a trained recogniser")
    chosen, best, total = [], -np.inf, np.zeros(len(norms))
    while len(chosen) < min(most, norms.shape[1]):
        found = rank_correlations(total[:, None] + norms, labels)       # a sum ranks as its mean does
        found[chosen] = -np.inf
        index = int(found.argmax())
        if found[index] <= best:
            break
        chosen.append(index)
        best, total = found[index], total + norms[:, index]
    return chosen


def rank_correlations(columns: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Spearman (L,) of each column of (N, L) with labels (N,); -1 of a constant column."""
    x, y = (ranks - ranks.mean(axis=0) for ranks in (rankdata(columns, axis=0), rankdata(labels)))
    scale = np.sqrt((x * x).sum(axis=0) * (y @ y))
    return np.divide(y @ x, scale, out=np.full(columns.shape[1], -1.0), where=scale > 0)


METHODS = [Method("froq", "FROQ", FROQ, needs=("model",), train=train_froq, training=DEFAULTS,
                  learns=lambda options, images: (options["images"] * (options["draws"] + 1), 0))]
