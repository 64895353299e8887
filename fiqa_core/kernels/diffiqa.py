"""DifFIQA: a good face survives being noised and denoised (Babnik, Peer, Struc, IJCB 2023).

A face is disturbed by the forward and restored by the backward process of a diffusion model; the closer the
embeddings of both results, and of those of the mirrored face, stay to the face's own, the better it is.
DifFIQA(R) is a network that learns these scores (`training.distillation`). Symbols are the paper's (arXiv
2305.05768).
"""
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import nn

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.method import Method
from fiqa_core.kernels import noise
from fiqa_core.kernels.chunks import (Chunks, activation_bytes, check_at_least, check_images, check_variant,
                                      embed)
from fiqa_core.kernels.diffusion import Diffusion
from fiqa_core.kernels.ediffiqa import PAPER, Distilled, Joined, preparation_of
from fiqa_core.recognisers.precision import check_precision, computing
from fiqa_core.recognisers.recogniser import Recogniser
from fiqa_core.recognisers.zoo import recogniser_from_catalogue


class DifFIQA:
    """Callable: images (B, 3, 112, 112) float32 RGB in [0, 1] -> quality (B,) float32, higher is better.

    diffusion    a Diffusion, frozen
    recogniser   images -> embeddings (B, D)
    timestep     t, index of the noise level in the table of 1000
    repeats      n, independent noise samples of each image
    eta          randomness of the sampler: 1 as published, 0 deterministic
    generator    where the noise's base seed comes from (once, here); None: a fixed seed
    variant      "reference" or "paper": both compute the same score here, the argument is FaceQAN's
    forward, backward, flip   ablations: whether noisy images, restored images, mirrored images count
    budget       bytes of activations at once; None: chosen for the device
    precision    "float32", or "tf32" and "bf16": `recognisers.precision`

    An image's score does not depend on the batch it is in, but for the rounding of the networks: less than 1e-5 in
    float32, 1e-9 in float64. Raises FiqaError for unfit images or parameters.
    """

    def __init__(self, diffusion, recogniser, timestep: int = 5, repeats: int = 10, eta: float = 1.0,
                 generator: torch.Generator | None = None, variant: str = "reference", forward: bool = True,
                 backward: bool = True, flip: bool = True, budget: int | None = None,
                 precision: str = "float32"):
        check_variant(variant)
        check_at_least("timestep", timestep, 1)
        check_at_least("repeats", repeats, 1)
        check_at_least("eta", eta, 0)
        if not (forward or backward or flip):
            raise FiqaError("forward, backward and flip are all switched off", "leave one of them on")
        if timestep >= len(diffusion.alphas_cumprod):
            raise FiqaError(f"timestep is {timestep}", f"use less than {len(diffusion.alphas_cumprod)}")
        self.diffusion, self.recogniser = diffusion, recogniser
        self.timestep, self.repeats, self.eta = timestep, repeats, eta
        self.forward, self.backward, self.flip = forward, backward, flip
        self.seed, self.precision = noise.base_seed(generator), check_precision(precision)
        self.chunks = Chunks(budget)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return quality(self.similarities(images))

    @torch.no_grad()
    def similarities(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Cosines to the embedding of x, each (B, n): of x_t "forward", of x_hat "backward", of the mirrored
        "forward_flip" and "backward_flip", and of the mirror image itself "flip".

        Terms that an ablation switches off are not computed. `quality` of any part of them (fewer keys,
        fewer repeats `[:, :n]`) is the score of that ablation.
        """
        check_images(images)
        with computing(self.precision, self.recogniser, self.diffusion.model):
            y = embed(self.recogniser, images, self.chunks)
            found = self._disturb(images, y, mirrored=False)
            if self.flip:
                mirror = images.flip(3)
                found |= {f"{name}_flip": s for name, s in self._disturb(mirror, y, mirrored=True).items()}
                s_f = F.cosine_similarity(y, embed(self.recogniser, mirror, self.chunks), dim=1)
                found["flip"] = s_f[:, None].expand(-1, self.repeats)
        return found

    def _disturb(self, images, y, mirrored: bool) -> dict[str, torch.Tensor]:
        """Cosines of the noisy and the restored images to y; samples (image, repeat) share the chunks."""
        names = [name for name in ("forward", "backward") if getattr(self, name)]
        count, n = len(images), self.repeats
        if not names or not count:
            return {name: images.new_zeros(count, n) for name in names}
        keys, x = noise.content_keys(images), self.diffusion.shrink(images)

        def draw(first, last):
            generators = [noise.sample_generator(self.seed, keys[index // n], index % n, mirrored)
                          for index in range(first, last)]
            return noise.normal(generators, (self.timestep, *x.shape[1:]), x.device)

        def kernel(first, last, drawn):
            rows = torch.arange(first, last, device=images.device) // n
            results = self._processes(x[rows], drawn)
            embeddings = [self.recogniser(self.diffusion.enlarge(results[name])) for name in names]
            return torch.stack([F.cosine_similarity(y[rows], other) for other in embeddings], dim=1)

        s = self.chunks.run(kernel, count * n, self._chunk(images), draw, images.device).unflatten(0, (count, n))
        return {name: s[:, :, column] for column, name in enumerate(names)}

    def _processes(self, x, drawn) -> dict[str, torch.Tensor]:
        """x_t and x_hat of x (N, 3, S, S).

        drawn   (N, t, 3, S, S) standard normal: one noise for x_t, t - 1 for the sampler
        """
        x_t = self.diffusion.add_noise(x, self.timestep, drawn[:, 0])                       # forward process
        if not self.backward:
            return {"forward": x_t}
        x_hat = self.diffusion.reconstruct(x_t, self.timestep, drawn[:, 1:], self.eta)      # backward process
        return {"forward": x_t, "backward": x_hat}

    def _chunk(self, images) -> int:
        def measure():
            x = self.diffusion.shrink(images[:1])
            time = torch.zeros(1, dtype=torch.long, device=x.device)
            return (activation_bytes(self.recogniser, (images[:1],), False)
                    + activation_bytes(self.diffusion.model, (x, time), False)
                    + (self.timestep + 2) * x.numel() * x.element_size())
        return self.chunks.size("disturb", measure, images.device)


def quality(similarities: dict[str, torch.Tensor]) -> torch.Tensor:
    """q (B,): the mean over n repeats of the mean over the terms (five of them without ablation)."""
    return torch.stack(list(similarities.values())).mean(dim=(0, 2))


class DifFIQARNetwork(Joined):
    """DifFIQA(R), keys `base.*` and `linear.*`: prepared images -> quality (B, 1)."""

    def __init__(self, base: nn.Module, linear: nn.Module, output: int = 0):
        super().__init__(output)
        self.base = base
        self.linear = linear

    def parts(self):
        return self.base, self.linear

    def forward(self, prepared):
        return self.judge(prepared)[1]


class DifFIQAR(Distilled):
    """DifFIQA(R).

    backbone   a Recogniser, IResNet-100 of CosFace in the paper; its network is copied, so that training
               leaves the recogniser as it was
    head       Linear(D -> 1); None: a new one
    """

    def __init__(self, backbone: Recogniser, head: nn.Module | None = None, budget: int | None = None):
        head = head or nn.Linear(backbone.embedding_size, 1)
        network = DifFIQARNetwork(deepcopy(backbone.network), head, backbone.output)
        super().__init__(network, preparation_of(backbone), budget)


def passes(options: dict, network) -> tuple[int, int]:
    """Passes of an image through the U-Net and the recogniser: of the face, its mirror image, and n copies."""
    n = options["repeats"]
    return 2 * n * options["timestep"], 2 + 4 * n


METHODS = [
    Method("diffiqa", "DifFIQA", DifFIQA, needs=("diffusion", "recogniser"), passes=passes, paper={"repeats": 10},
           released={"diffiqa_gaussian_diffusion": Diffusion}),
    Method("diffiqa_r", "DifFIQA(R)", DifFIQAR, needs=("model",), training=PAPER,
           released={"diffiqa_r": lambda: DifFIQAR(recogniser_from_catalogue("iresnet100"))})]
