"""The other half of `features.trunk_of`: the layers that make an embedding of the last features."""
from torch import nn

from fiqa_core.errors import FiqaError
from fiqa_core.methods.features import embedding_layers
from fiqa_core.recognisers.interface import Recogniser

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


class EmbeddingLayers(nn.Module):
    """Flattened last features (B, F), as `features.trunk_of` gives them, -> raw embeddings (B, D).

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
