"""The kernels' networks and algorithms as published: torch's own layers, one image at a time, its repeats in a batch."""
from copy import deepcopy

import torch
from torch import nn
from torch.nn import functional as F

from fiqa_core.kernels import noise
from fiqa_core.kernels.diffusion import Diffusion
from fiqa_core.kernels.unet import LinearAttention, Pointwise, WeightStandardisedConv2d
from fiqa_core.recognisers.layers import BatchNorm2d, PReLU
from tests.helpers.plain_reference import restore


class PlainStandardised(WeightStandardisedConv2d):
    """Standardises its filters at every call."""

    def _filters(self):
        return self._standardised()


class PlainLinearAttention(LinearAttention):
    """q, k and v of one convolution, then two products per head (Shen et al. 2018)."""

    def forward(self, x):
        size = x.shape[2:]
        q, k, v = (part.unflatten(1, (self.heads, -1)).flatten(3) for part in self.to_qkv(x).chunk(3, dim=1))
        q, k = q.softmax(dim=2) * self.scale, k.softmax(dim=3)
        context = torch.einsum("bhdn,bhen->bhde", k, v / size.numel())
        return self.to_out(torch.einsum("bhde,bhdn->bhen", context, q).flatten(1, 2).unflatten(2, size))


PLAIN = {BatchNorm2d: nn.BatchNorm2d, PReLU: nn.PReLU, Pointwise: nn.Conv2d,
         WeightStandardisedConv2d: PlainStandardised, LinearAttention: PlainLinearAttention}


def plain(network: nn.Module) -> nn.Module:
    """A copy of a network in torch's own layers; same weights, same function."""
    copy = deepcopy(network)
    for layer in copy.modules():
        layer.__class__ = PLAIN.get(type(layer), type(layer))
    return copy


def faceqan(images, recogniser, repeats=10, epsilon=1e-3, iterations=5, exponent=5) -> torch.Tensor:
    """Scores (B,) of images (B, 3, 112, 112); noise as ours."""
    scores = []
    for image, key in zip(images, noise.content_keys(images)):
        y = recogniser(image[None]).detach()
        generators = [noise.sample_generator(noise.DEFAULT_SEED, key, repeat) for repeat in range(repeats)]
        x = (image + noise.uniform(generators, image.shape, image.device, epsilon)).clamp(-1, 1)
        similarities = []
        for _ in range(iterations):
            x = x.detach().requires_grad_(True)
            similarity = F.cosine_similarity(y, recogniser(x))
            (1 - similarity).sum().backward()
            similarities.append(similarity.detach())
            x = (x + epsilon * x.grad.sign()).clamp(-1, 1)
        found = torch.stack(similarities)
        with torch.no_grad():
            symmetry = F.cosine_similarity(y, recogniser(image[None].flip(3)))[0]
        scores.append(((found.mean() + 1) / 2 * (1 - found.std(correction=0)) * symmetry) ** exponent)
    return torch.stack(scores)


@torch.no_grad()
def diffiqa(images, diffusion: Diffusion, recogniser, repeats=10, timestep=5, eta=1.0) -> torch.Tensor:
    """Scores (B,) of images (B, 3, 112, 112); noise as ours."""
    scores, abar = [], diffusion.alphas_cumprod
    for image in images:
        own, terms = recogniser(image[None]), []
        for mirrored in (False, True):
            x = image[None].flip(3) if mirrored else image[None]
            key, small = noise.content_keys(x)[0], diffusion.shrink(x)
            generators = [noise.sample_generator(noise.DEFAULT_SEED, key, repeat, mirrored)
                          for repeat in range(repeats)]
            drawn = noise.normal(generators, (timestep, *small.shape[1:]), x.device)
            x_t = abar[timestep].sqrt() * small + (1 - abar[timestep]).sqrt() * drawn[:, 0]
            x_hat = restore(lambda x, t: diffusion.model(x, t.expand(len(x))), x_t, timestep, abar, drawn[:, 1:], eta)
            terms += [recogniser(diffusion.enlarge(x_t)), recogniser(diffusion.enlarge(x_hat))]
        terms.append(recogniser(image[None].flip(3)).expand(repeats, -1))
        scores.append(torch.stack([F.cosine_similarity(own, term) for term in terms]).mean())
    return torch.stack(scores)
