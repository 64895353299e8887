"""Inside a recogniser: its layers watched, its trunk (all up to the last features) and its embedding layers.

What a frozen recogniser or trunk makes of the training faces is computed once, by `views`.
"""
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from copy import deepcopy

import numpy as np
import torch
from torch import nn

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import to_batch
from fiqa_core.recognisers.recogniser import Recogniser, embed


@contextmanager
def watched(layers: Iterable[nn.Module], note: Callable):
    """Inside, every call of one of `layers` calls `note(layer, input, output)` with its two tensors.

    Only layers that take and return one tensor are fit; no hook stays behind, whatever happens inside.
    """
    hooks = [layer.register_forward_hook(lambda layer, inputs, output: note(layer, inputs[0], output))
             for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def observable_layers(network: nn.Module, sample: torch.Tensor) -> dict[str, nn.Module]:
    """Name -> layer, in order of computation, of the layers without parts that return a tensor per image.

    sample  (2, ...) what the network takes. Tensors of windows or tokens count where their number is a
            multiple of the images', image after image.
    """
    leaves = {layer: name for name, layer in network.named_modules() if not any(layer.children())}
    found = {}

    def note(layer, inputs, output):
        if isinstance(output, torch.Tensor) and output.ndim > 1 and len(output) % len(sample) == 0:
            found[leaves[layer]] = layer

    with watched(leaves, note), torch.no_grad():
        network(sample)
    return found


# The layers that make the embedding of the last features, by the names that released weights give them.
# What stands before them, as the norm and dropout of the IR networks' output layer, belongs to the features.
EMBEDDING_LAYERS = (("fc", "features"), ("feature",), ("output_layer.linear", "output_layer.bn"),
                    ("output_layer.3", "output_layer.4"), ("linear1",), ("linear", "bn"), ("conv3", "bn"))


class Trunk(Recogniser):
    """A recogniser cut where its embedding layers were, whatever its network makes of the features then.

    first   name of the first of those layers, replaced by one that flattens
    """

    first: str

    def outputs(self, images):
        found = []
        layer = self.network.get_submodule(self.first)
        with watched([layer], lambda layer, entered, left: found.append(left)):
            super().outputs(images)
        return tuple(found)


def embedding_layers(network: nn.Module) -> tuple[str, ...]:
    """Names of the layers that make the embedding of the last features; () where they are not known."""
    known = dict(network.named_modules())
    return next((names for names in EMBEDDING_LAYERS if all(name in known for name in names)), ())


def trunk_of(recogniser: Recogniser) -> Recogniser:
    """A copy without the embedding layers: images (B, 3, 112, 112) to flattened last features (B, F).

    These are the last maps of a convolutional network and the tokens (or their mean) of a transformer;
    F is `embedding_size`. Frozen. Raises FiqaError for a network whose embedding layers are not known.
    """
    network = deepcopy(recogniser.network)
    names = embedding_layers(network)
    if not names:
        raise FiqaError(f"{type(network).__name__} has no embedding layer that is known by name",
                        "add the name to EMBEDDING_LAYERS in fiqa_core/recognisers/trunk.py")
    for name in names:
        network.set_submodule(name, nn.Flatten())
    trunk = Trunk(network, 0, recogniser.name, recogniser.colour, recogniser.mean, recogniser.std, recogniser.size,
                  recogniser.columns)
    trunk.freeze().to(recogniser.mean.device).first = names[0]
    with torch.no_grad():
        trunk.embedding_size = trunk(recogniser.mean.new_zeros(1, 3, 112, 112)).shape[1]
    return trunk


def views(network: Recogniser, pixels: np.ndarray, device="cpu") -> torch.Tensor:
    """What `network` (a recogniser or a trunk) makes of each face and of its mirror image.

    pixels  (N, 112, 112, 3) uint8, may be memory-mapped
    Returns (N, 2, D) float32 on `device`, [:, 1] of the mirror images: `views[rows, mirrored]` is a batch.
    """
    both = [embed(network, side, device, flip=False) for side in (pixels, pixels[:, :, ::-1])]
    return torch.from_numpy(np.stack(both, axis=1)).to(device)


def unit_embeddings(recogniser: Recogniser, pixels: np.ndarray, device="cpu") -> np.ndarray:
    """Embeddings (N, D) float32 of uint8 faces (N, 112, 112, 3), scaled to length 1."""
    vectors = embed(recogniser, pixels, device, flip=False)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def image_batch(pixels: np.ndarray, rows: np.ndarray, mirrored: np.ndarray, device="cpu") -> torch.Tensor:
    """The faces of `rows` (B,) as float32 (B, 3, 112, 112) in [0, 1], those with `mirrored` (B,) mirrored."""
    chosen = np.array(pixels[rows])
    chosen[mirrored] = chosen[mirrored, :, ::-1]
    return to_batch(chosen, device)


NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


class EmbeddingLayers(nn.Module):
    """Flattened last features (B, F), as `trunk_of` gives them, -> raw embeddings (B, D).

    recogniser  whose weights are shared, not copied
    last_norm   whether the batch norm at the end is applied

    Raises FiqaError for a network whose embedding layers are not known.
    """

    def __init__(self, recogniser: Recogniser, last_norm: bool = True):
        super().__init__()
        network = recogniser.network
        leaves = [leaf for name in embedding_layers(network) for leaf in network.get_submodule(name).modules()
                  if not any(leaf.children())]
        if not leaves or not isinstance(leaves[0], (nn.Linear, nn.Conv2d)):
            raise FiqaError(f"{type(network).__name__} does not make its embedding by a linear layer",
                            "use another recogniser for this method")
        self.convolves = isinstance(leaves[0], nn.Conv2d)          # 1x1, on maps of one pixel (MobileFaceNet)
        if not last_norm and isinstance(leaves[-1], NORMS):
            leaves = leaves[:-1]
        self.layers = nn.Sequential(*leaves)

    def forward(self, features):
        return self.layers(features[..., None, None] if self.convolves else features).flatten(1)
