"""FROQ's pseudo-quality labels: a good face survives mirroring, faint noise and small occlusions.

The auxiliary method of "FROQ" (Babnik, Jain, Peer, Struc, IJCB 2025, arXiv 2509.17689): the mean of three
components, each the mean cosine between the face's embedding and those of its disturbed copies. It needs
dozens of forward passes for each image and only calibrates FROQ.

Left open by the descriptions and decided here: noise is mixed in as (1 - alpha) x + alpha n with standard
normal n on the images' scale of [0, 1]; an occluded cell turns mid-grey, the zero of most recognisers' input.
"""
from collections.abc import Callable

import torch
import torch.nn.functional as F

from fiqa_core.errors import FiqaError
from fiqa_core.methods import noise
from fiqa_core.methods.batching import Chunks, activation_bytes, check_images, embed, full_float32

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
