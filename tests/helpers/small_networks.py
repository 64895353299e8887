"""Small networks with fixed random weights for the tests of the methods, and random faces to feed them."""
from inspect import signature

import torch

from fiqa_core.kernels.diffusion import Diffusion
from fiqa_core.recognisers.zoo import recogniser_from_config
from fiqa_core.registry import find_method

# The smallest recogniser that can be saved, and arguments of the methods on it.
NETWORK = {"network": "iresnet", "blocks": [1], "widths": [16], "size": 56, "embedding": 16, "stem_stride": 2}
ARGUMENTS = {"faceqnet": {"hidden": 8}, "pfe": {"hidden": 8, "start": -3.0}, "froq": {"layers": ["conv1", "layer1.0.bn1"]},
             "lightqnet": {"width": "dm025", "colour": "rgb"},
             "faceqgen": {"size": 32, "widths": (8, 8), "critic": (8, 8), "measure": "discriminator"}}


def faces(count: int, seed: int = 0) -> torch.Tensor:
    """Smooth random pictures (count, 3, 112, 112) in [0, 1]."""
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (112, 112), mode="bilinear").contiguous()


def recogniser(widths=(8, 8, 16, 16), embedding=32, seed=0):
    torch.manual_seed(seed)
    return recogniser_from_config(
        dict(
            network="iresnet",
            name="small",
            blocks=[1, 1, 1, 1],
            widths=list(widths),
            size=56,
            embedding=embedding,
            stem_stride=2,
        )
    ).freeze()


def diffusion(seed=0, **sizes) -> Diffusion:
    torch.manual_seed(seed)
    return (
        Diffusion(**{**dict(dim=8, multipliers=(1, 2), size=28, heads=2, head_dim=4), **sizes})
        .eval()
        .requires_grad_(False)
    )


class InFloat64(torch.nn.Module):
    """`network` calculated in float64.

    What kernels round differently, for another batch size or on another processor, is then far below what a
    test resolves, and below the gradients whose signs FaceQAN takes.
    """

    def __init__(self, network):
        super().__init__()
        self.network = network.double()

    def forward(self, *inputs):
        return self.network(*(values.double() for values in inputs))


def exact_diffusion() -> Diffusion:
    """`diffusion()` in float64, for images in float32."""
    exact = diffusion().double()
    exact.model = InFloat64(exact.model)
    return exact


class LimitedMemory(torch.nn.Module):
    """Runs out of GPU memory above `limit` images; `seen` lists the batch sizes it was given."""

    def __init__(self, network, limit):
        super().__init__()
        self.network, self.limit, self.seen = network, limit, []

    def forward(self, images):
        self.seen.append(len(images))
        if len(images) > self.limit:
            raise torch.cuda.OutOfMemoryError("simulated")
        return self.network(images)


def trained(slug: str, **options):
    """A method of random weights on a small recogniser, and that recogniser."""
    build = find_method(slug).build
    with torch.random.fork_rng():
        torch.manual_seed(3)
        recogniser = recogniser_from_config(NETWORK).freeze()
        backbone = (recogniser,) if "backbone" in signature(build).parameters else ()
        method = build(*backbone, **{**ARGUMENTS.get(slug, {}), **options})
        if not backbone and hasattr(method, "network"):         # batch norms with statistics of faces
            method.network.train()
            for seed in range(8):
                method.network(method.prepare(faces(8, seed)))
        return method.eval(), recogniser
