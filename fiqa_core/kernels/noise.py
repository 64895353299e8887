"""Noise that belongs to the image, so that a score depends neither on the batch nor on the processor.

Each sample (one repeat of one image) draws its noise on the CPU from a generator of its own, seeded by the
method's base seed, the image's content and the sample's label. Fewer repeats use a prefix of the same noise.
"""
import hashlib

import torch

DEFAULT_SEED = 2022                 # base seed of a method without a generator


def base_seed(generator: torch.Generator | None) -> int:
    """The base seed of a method: fixed without a generator, else drawn from it once."""
    if generator is None:
        return DEFAULT_SEED
    return int(torch.randint(2 ** 62, (1,), generator=generator, device=generator.device))


def content_keys(images: torch.Tensor) -> list[bytes]:
    """A 16-byte hash of each image (B, ...), of its values as float32."""
    rows = images.detach().float().cpu().contiguous().flatten(1).numpy()
    return [hashlib.blake2b(row, digest_size=16).digest() for row in rows]


def sample_generator(seed: int, key: bytes, *label: int) -> torch.Generator:
    """The generator of one sample: (base seed, content of the image, label such as the repeat's number)."""
    text = repr((seed, *label)).encode() + key
    number = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little", signed=True)
    return torch.Generator().manual_seed(number)


def _empty(generators: list, shape: tuple[int, ...], device) -> torch.Tensor:
    """Memory on the CPU, pinned where it goes to a GPU, so that the copy does not wait for what runs there."""
    return torch.empty(len(generators), *shape, pin_memory=torch.device(device).type == "cuda")


def uniform(generators: list[torch.Generator], shape: tuple[int, ...], device, width: float) -> torch.Tensor:
    """(len(generators), *shape) float32 values of U(-width, width)."""
    noise = _empty(generators, shape, device)
    for row, generator in zip(noise, generators):
        row.uniform_(-width, width, generator=generator)
    return noise.to(device, non_blocking=True)


def normal(generators: list[torch.Generator], shape: tuple[int, ...], device) -> torch.Tensor:
    """(len(generators), *shape) float32 values of N(0, 1)."""
    noise = _empty(generators, shape, device)
    for row, generator in zip(noise, generators):
        row.normal_(generator=generator)
    return noise.to(device, non_blocking=True)
