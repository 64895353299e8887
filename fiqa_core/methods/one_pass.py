"""What all methods share whose score is one pass of a network: checks, chunks, the file's state dict."""
from abc import ABC, abstractmethod

import torch
from torch import nn

from fiqa_core.methods.batching import Chunks, activation_bytes, check_images


class OnePass(nn.Module, ABC):
    """Images (B, 3, 112, 112) float32 RGB in [0, 1] -> quality (B,) float32, higher is better.

    network   takes prepared images; a file of weights holds its keys alone
    budget    bytes of activations at once; None: chosen for the device

    A subclass defines `prepare` and `columns`. Raises FiqaError for unfit images.
    """

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
        size = self.chunks.size("score", lambda: activation_bytes(
            self.network, (self.prepare(images[:1]),), False), images.device)
        return self.chunks.run(lambda first, last: self.columns(images[first:last]), len(images), size)

    def state_dict(self, *args, **kwargs):
        """The network's own, as files hold it."""
        return self.network.state_dict(*args, **kwargs)

    def load_state_dict(self, *args, **kwargs):
        """Into the network."""
        return self.network.load_state_dict(*args, **kwargs)
