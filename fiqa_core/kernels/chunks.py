"""How many samples go through the networks at once: a memory budget decides, and running out of it halves.

A sample is one picture in a network: an image, one adversarial example, one noisy copy. Samples of all
images and repeats form one long list that is cut into chunks here; no method knows the chunk's size. Beside
the chunks stand the checks that all methods share, and `OnePass`, the base of those that score in one pass.
"""
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import nn

from fiqa_core.base.ahead import Ranges
from fiqa_core.base.device import activation_budget
from fiqa_core.base.errors import FiqaError
from fiqa_core.recognisers.precision import computing


def activation_bytes(network, sample: tuple[torch.Tensor, ...], gradient: bool) -> int:
    """Bytes of activations that one sample needs: all outputs if a gradient follows, else the widest.

    network   a callable; for one that is not a module 16 times the sample's own size is assumed
    sample    its arguments for a batch of 1
    """
    if not isinstance(network, nn.Module):
        return 16 * sample[0].numel() * sample[0].element_size()
    sizes = output_bytes(network, sample)
    return 2 * sum(sizes) if gradient else 8 * max(sizes)


def output_bytes(network: nn.Module, sample: tuple[torch.Tensor, ...]) -> list[int]:
    """Bytes of the sample and of the output of every layer that it goes through, in that order."""
    sizes = [sample[0].numel() * sample[0].element_size()]

    def note(module, inputs, output):
        if isinstance(output, torch.Tensor):
            sizes.append(output.numel() * output.element_size())

    layers = [layer for layer in network.modules() if not any(layer.children())]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    try:
        with torch.no_grad():
            network(*sample)
    finally:
        for hook in hooks:
            hook.remove()
    return sizes


class Chunks:
    """Cuts a list of samples into chunks that fit `budget` bytes (None: chosen for the device)."""

    def __init__(self, budget: int | None = None):
        if budget is not None and budget <= 0:
            raise FiqaError(f"budget is {budget} bytes", "give a positive number of bytes, or None")
        self.budget = budget
        self._bytes: dict[str, int] = {}
        self._halvings = 0

    def size(self, purpose: str, measure: Callable[[], int], device: torch.device) -> int:
        """Samples of one chunk; `measure()` tells the bytes of a sample and is asked once per purpose."""
        if purpose not in self._bytes:
            self._bytes[purpose] = max(1, _attempt(measure) or _no_room())
        budget = self.budget or activation_budget(device)
        return max(1, (budget // self._bytes[purpose]) >> self._halvings)

    def run(self, kernel: Callable, total: int, size: int, draw: Callable | None = None, device=None) -> torch.Tensor:
        """Concatenate `kernel(first, last)` over chunks of `total` samples, as equal as they can be.

        draw   kernel(first, last, draw(first, last)) instead; for a GPU, `device`, a thread draws while it computes

        Running out of GPU memory halves the chunk, now and in later calls. Raises FiqaError when one
        sample alone does not fit.
        """
        parts, first = [], 0
        size = -(-total // -(-total // size)) if total else size            # no small one at the end
        busy = draw is not None and device.type == "cuda"
        with Ranges(draw, total, size) if busy else nullcontext(draw) as draw:
            while first < total:
                last = min(first + size, total)
                part = _attempt(lambda: kernel(first, last, *([draw(first, last)] if draw else [])))
                if part is None:
                    if last - first == 1:
                        _no_room()
                    self._halvings += 1
                    size = max(1, (last - first) // 2)
                    continue
                parts.append(part)
                first = last
        return torch.cat(parts)


def _attempt(work: Callable):
    """What `work()` returns, or None where the GPU's memory ran out (whose freed part is then given back)."""
    try:
        return work()
    except torch.cuda.OutOfMemoryError:
        pass                        # leave the handler first: the traceback keeps the chunk's tensors alive
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def _no_room():
    raise FiqaError("the GPU's memory does not hold a single sample",
                    "use a smaller network, another GPU, or FIQA_DEVICE=cpu")


def check_images(images: torch.Tensor) -> torch.Tensor:
    """Raise FiqaError unless `images` is float32 (B, 3, 112, 112) within [0, 1]."""
    if images.ndim != 4 or images.shape[1:] != (3, 112, 112) or images.dtype != torch.float32:
        raise FiqaError(f"images are {images.dtype} {tuple(images.shape)}, want float32 (B, 3, 112, 112)",
                        "align faces to 112x112 and convert them with fiqa_core.base.images.to_batch")
    if len(images) and (not torch.isfinite(images).all() or images.min() < 0 or images.max() > 1):
        raise FiqaError("images hold values outside [0, 1]",
                        "divide 8-bit values by 255 (fiqa_core.base.images.to_batch)")
    return images


def check_at_least(name: str, value, least) -> None:
    """Raise FiqaError where a parameter is below its least value."""
    if value < least:
        raise FiqaError(f"{name} is {value}", f"use a value of at least {least}")


def check_variant(variant: str) -> None:
    """Raise FiqaError for anything but "reference" and "paper"."""
    if variant not in ("reference", "paper"):
        raise FiqaError(f"variant is {variant!r}",
                        'use "reference" (the published scores) or "paper" (its formulas)')


def embed(recogniser, images: torch.Tensor, chunks: Chunks, raw: bool = False) -> torch.Tensor:
    """Embeddings (B, D) of images (B, 3, 112, 112), without gradient, in chunks; (0, 1) of no image.

    raw   whether a length that the network has divided by is put back, see `Recogniser.raw`
    """
    if not len(images):
        return images.new_zeros(0, 1)
    size = chunks.size("embed", lambda: activation_bytes(recogniser, (images[:1],), False), images.device)

    @torch.no_grad()
    def kernel(first, last):
        if raw:
            return recogniser.raw(recogniser.outputs(images[first:last]))
        return recogniser(images[first:last])

    return chunks.run(kernel, len(images), size)


class OnePass(nn.Module, ABC):
    """Images (B, 3, 112, 112) float32 RGB in [0, 1] -> quality (B,) float32, higher is better.

    network   takes prepared images; a file of weights holds its keys alone
    budget    bytes of activations at once; None: chosen for the device

    `precision` is how exactly it scores, see `recognisers.precision`.

    A subclass defines `prepare` and `columns`. Raises FiqaError for unfit images.
    """

    precision = "float32"

    def __init__(self, network: nn.Module, budget: int | None = None):
        super().__init__()
        self.network = network
        self.chunks = Chunks(budget)

    @abstractmethod
    def prepare(self, images) -> torch.Tensor:
        """Images as the network wants them."""

    @abstractmethod
    def columns(self, images) -> torch.Tensor:
        """(B, K), whatever the network tells about each image, its quality last."""

    def forward(self, images) -> torch.Tensor:
        return self.score(images)[:, -1]

    @torch.no_grad()
    def score(self, images) -> torch.Tensor:
        """`columns` of any number of images, in chunks and without gradient."""
        check_images(images)
        if not len(images):
            return self.columns(images.new_zeros(1, *images.shape[1:]))[:0]
        with computing(self.precision, self.network):
            size = self.chunks.size("score", lambda: activation_bytes(
                self.network, (self.prepare(images[:1]),), False), images.device)
            return self.chunks.run(lambda first, last: self.columns(images[first:last]), len(images), size)

    def state_dict(self, *args, **kwargs):
        """The network's own, as files hold it."""
        return self.network.state_dict(*args, **kwargs)

    def load_state_dict(self, *args, **kwargs):
        """Into the network."""
        return self.network.load_state_dict(*args, **kwargs)
