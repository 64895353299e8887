"""SER-FIQ: a good face has a robust embedding (Terhoerst, Kolf, Damer, Kirchbuchner, Kuijper, CVPR 2020).

Dropout before the embedding layer turns one recogniser into many random sub-networks. The closer together the
embeddings are that they find for one face, the better it is (arXiv 2003.09373). Nothing is trained; only the
last layers are repeated.
"""
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.method import Method
from fiqa_core.kernels import noise
from fiqa_core.kernels.chunks import Chunks, check_at_least, check_images, embed
from fiqa_core.recognisers.precision import full_float32
from fiqa_core.recognisers.recogniser import Recogniser
from fiqa_core.recognisers.trunk import EmbeddingLayers, trunk_of


@dataclass(frozen=True)
class Variant:
    """What the implementations of SER-FIQ do not agree upon.

    itself       whether the mean distance counts each embedding's distance 0 to itself
    sharpness    c in 2 / (1 + e^(c d))
    last_norm    whether the batch norm after the embedding layer is applied
    calibration  (alpha, r): the score becomes 1 / (1 + e^(-alpha (score - r))); None: it stays
    """

    itself: bool = False
    sharpness: float = 1.0
    last_norm: bool = True
    calibration: tuple[float, float] | None = None


# "original" is the authors' code of 2020, "official" that since August 2021, whose calibration suits its own
# ResNet100 alone; "port" is a co-author's in PyTorch, which writes c = 8 and counts each pair once in T^2.
VARIANTS = {"paper": Variant(itself=True), "original": Variant(last_norm=False),
            "official": Variant(calibration=(130.0, 0.88)), "port": Variant(itself=True, sharpness=4.0)}


class SERFIQ:
    """Callable: images (B, 3, 112, 112) float32 RGB in [0, 1] -> quality (B,) float32, higher is better.

    recogniser   a Recogniser that was trained with dropout before its embedding layer
    repeats      T, sub-networks of each image
    dropout      p; None: the rate that the recogniser was trained with (the paper has 0.5)
    variant      one of VARIANTS
    generator    where the noise's base seed comes from (once, here); None: a fixed seed
    budget       bytes of activations at once; None: chosen for the device

    An image's score does not depend on the batch it is in; fewer repeats use some of the same sub-networks.
    Raises FiqaError for unfit images or parameters.
    """

    def __init__(self, recogniser: Recogniser, repeats: int = 100, dropout: float | None = None,
                 variant: str = "paper", generator: torch.Generator | None = None, budget: int | None = None):
        check_at_least("repeats", repeats, 2)
        if variant not in VARIANTS:
            raise FiqaError(f"variant is {variant!r}", f"choose one of: {', '.join(VARIANTS)}")
        self.variant, self.repeats = VARIANTS[variant], repeats
        self.dropout = trained_dropout(recogniser) if dropout is None else dropout
        if not 0 <= self.dropout < 1:
            raise FiqaError(f"dropout is {dropout}", "use a rate from 0 to below 1")
        self.trunk = trunk_of(recogniser)
        self.layers = EmbeddingLayers(recogniser, self.variant.last_norm).eval()
        self.seed = noise.base_seed(generator)
        self.chunks = Chunks(budget)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return quality(self.mean_distances(images), self.repeats, self.variant)

    @torch.no_grad()
    def mean_distances(self, images: torch.Tensor) -> torch.Tensor:
        """Mean Euclidean distance (B,) over the T (T - 1) / 2 pairs of an image's stochastic embeddings."""
        if not len(check_images(images)):
            return images.new_zeros(0)
        keys = noise.content_keys(images)
        with full_float32():
            features = embed(self.trunk, images, self.chunks)

            def kernel(first, last):
                generators = [noise.sample_generator(self.seed, key) for key in keys[first:last]]
                drawn = noise.uniform(generators, (self.repeats, features.shape[1]), images.device, 0.5)
                thinned = features[first:last, None] * (drawn + 0.5 >= self.dropout) / (1 - self.dropout)
                embeddings = F.normalize(self.layers(thinned.flatten(0, 1)))
                return mean_distance(embeddings.unflatten(0, (-1, self.repeats)))

            return self.chunks.run(kernel, len(images), self._chunk(features))

    def _chunk(self, features) -> int:
        """Images of one chunk: noise, thinned features and their product, embeddings, distances."""
        floats = self.repeats * (4 * features.shape[1] + 2 * self.repeats + 1024)
        return self.chunks.size("passes", lambda: 4 * floats, features.device)


def mean_distance(embeddings: torch.Tensor) -> torch.Tensor:
    """Mean distance (B,) of the distinct pairs among T embeddings of each image, (B, T, D)."""
    count = embeddings.shape[1]
    # Around their own mean, scalar products keep all digits where embeddings are almost equal.
    centred = embeddings - embeddings.mean(dim=1, keepdim=True)
    products = centred @ centred.mT
    squares = products.diagonal(dim1=1, dim2=2)
    distances = (squares[:, :, None] + squares[:, None] - 2 * products).clamp_min(0).sqrt()
    return distances.sum(dim=(1, 2)) / (count * (count - 1))


def quality(distance: torch.Tensor, repeats: int, variant: Variant) -> torch.Tensor:
    """q (B,) in (0, 1] from the mean distances d (B,) of T repeats: 2 sigmoid(-c d), calibrated where wanted.

    The paper's (2 / T^2) times the sum over pairs is d (T - 1) / T.
    """
    share = (repeats - 1) / repeats if variant.itself else 1.0
    raw = 2 * torch.sigmoid(-variant.sharpness * share * distance)
    if variant.calibration is None:
        return raw
    alpha, middle = variant.calibration
    return torch.sigmoid(alpha * (raw - middle))


def trained_dropout(recogniser: Recogniser) -> float:
    """The rate of the dropout before the embedding layer. Raises FiqaError where there was none."""
    rates = [layer.p for layer in recogniser.network.modules()
             if isinstance(layer, (nn.Dropout, nn.Dropout2d))]
    if not rates or rates[-1] == 0:
        raise FiqaError(f"SER-FIQ: {recogniser.name} was trained without dropout before its embedding",
                        "use one trained with dropout, or give `dropout`, a rate it has not learnt to bear")
    return rates[-1]


EMBEDDING_LAYER = 25088 * 512       # multiply-adds of the layer that is repeated, in the paper's recogniser


def passes(options: dict, network) -> float:
    """Forward passes an image: one, and the repeats of the embedding layer as parts of one."""
    return 1 + options["repeats"] * min(EMBEDDING_LAYER, network.parameters) / network.adds


METHODS = [Method("ser_fiq", "SER-FIQ", SERFIQ, needs=("recogniser",), passes=passes, paper={"repeats": 100})]
