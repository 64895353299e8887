"""PreFIQs: a good face keeps its embedding when the recogniser is pruned (arXiv 2605.13396, 2026).

Weights of small magnitude matter little to the faces a recogniser knows well; faces of low utility lean on
them. Two forward passes, no training. Written from the abstract and from notes on the paper: the distance,
the criterion (unstructured L1) and the share of 40 % are given there. Left open is what the share is of;
here it is of all weights of convolutions and linear layers together ("global"), for it is stated for the
model. With "layer" every layer loses the share of its own weights, which the thin ones stand badly.
"""
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import nn

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.method import Method
from fiqa_core.kernels.chunks import Chunks, check_images, embed
from fiqa_core.recognisers.precision import full_float32


class PreFIQs:
    """Callable: images (B, 3, 112, 112) float32 RGB in [0, 1] -> quality (B,) float32 in [-2, 0].

    recogniser  a Recogniser; it is copied and stays as it is
    sparsity    share of the weights that are set to zero, in [0, 1)
    scope       "global" or "layer"
    budget      bytes of activations at once; None: chosen for the device

    Raises FiqaError for unfit images or parameters.
    """

    def __init__(self, recogniser: nn.Module, sparsity: float = 0.4, scope: str = "global",
                 budget: int | None = None):
        self.recogniser = recogniser
        self.pruned = pruned(recogniser, sparsity, scope)
        self.chunks = Chunks(budget)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        with full_float32():
            dense, sparse = (F.normalize(embed(network, check_images(images), self.chunks))
                             for network in (self.recogniser, self.pruned))
        return -(dense - sparse).norm(dim=1)


def pruned(network: nn.Module, sparsity: float, scope: str = "global") -> nn.Module:
    """A copy of `network` whose convolution and linear weights of least magnitude are zero.

    Biases and norms stay. Of n weights, those of one layer or of all, exactly round(sparsity n) are pruned.
    Raises FiqaError for an unknown scope or a share outside [0, 1).
    """
    if not 0 <= sparsity < 1 or scope not in ("layer", "global"):
        raise FiqaError(f"sparsity is {sparsity}, scope {scope!r}",
                        'prune a share from 0 to below 1, with scope "layer" or "global"')
    copy = deepcopy(network)
    weights = [layer.weight for layer in copy.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    if not weights:
        raise FiqaError("the recogniser has no convolution or linear layer to prune",
                        "use another recogniser")
    for group in ([weights] if scope == "global" else [[weight] for weight in weights]):
        _zero_smallest(group, sparsity)
    return copy


@torch.no_grad()
def _zero_smallest(weights: list[torch.Tensor], share: float) -> None:
    """Set the given share of all entries of `weights`, those of least magnitude, to zero in place."""
    magnitude = torch.cat([weight.abs().flatten() for weight in weights])
    kept = torch.ones_like(magnitude)
    kept[magnitude.argsort(stable=True)[:round(share * len(magnitude))]] = 0
    for weight, mask in zip(weights, kept.split([weight.numel() for weight in weights])):
        weight.mul_(mask.view_as(weight))


METHODS = [Method("prefiqs", "PreFIQs", PreFIQs, needs=("recogniser",), passes=lambda options, network: 2)]
