"""FaceQAN: a good face is hard to push away from its own embedding (Babnik, Peer, Struc, ICPR 2022).

Small adversarial perturbations lower the similarity between a face and its perturbed copies; the less they
succeed, the better the face. Symbols are the paper's (arXiv 2212.02127).
"""
import torch
import torch.nn.functional as F

from fiqa_core.base.method import Method
from fiqa_core.kernels import noise
from fiqa_core.kernels.chunks import (Chunks, activation_bytes, check_at_least, check_images, check_variant,
                                      embed)
from fiqa_core.recognisers.precision import check_precision, computing


class FaceQAN:
    """Callable: images (B, 3, 112, 112) float32 RGB in [0, 1] -> quality (B,) float32, higher is better.

    recogniser   images -> embeddings (B, D), differentiable; its weights take no part in any gradient
    epsilon      largest step of a perturbation, on the images' scale of [0, 1]
    iterations   l, FGSM steps of each adversarial example
    repeats      k, adversarial examples of each image
    exponent     p, a whole number; with an odd p a negative symmetry makes the quality negative
    generator    where the noise's base seed comes from (once, here); None: a fixed seed
    variant      "reference": the similarities of all l iterations count, as in the published scores;
                 "paper": only those of the k finished adversarial examples
    symmetry     whether the similarity to the mirrored face counts (section III-C)
    budget       bytes of activations at once; None: chosen for the device
    precision    "float32", or "tf32" and "bf16", which move scores as another seed does: `recognisers.precision`

    An image's score does not depend on the batch it is in, but for rounding: in float32 a batch of another size
    may turn the sign of a gradient near 0, and the steps that follow differ. On 20 photographs this moved no score
    by more than 2e-4 (MobileFaceNets, k = 2); in float64 it is less than 1e-9. Raises FiqaError for unfit images
    or parameters.
    """

    def __init__(self, recogniser, epsilon: float = 1e-3, iterations: int = 5, repeats: int = 10,
                 exponent: int = 5, generator: torch.Generator | None = None, variant: str = "reference",
                 symmetry: bool = True, budget: int | None = None, precision: str = "float32"):
        check_variant(variant)
        for name, value in (("iterations", iterations), ("repeats", repeats), ("exponent", exponent)):
            check_at_least(name, value, 1)
        check_at_least("epsilon", epsilon, 0)
        self.recogniser, self.precision = recogniser, check_precision(precision)
        self.epsilon, self.iterations = epsilon, iterations
        self.repeats, self.exponent = repeats, int(exponent)
        self.variant, self.symmetry = variant, symmetry
        self.seed = noise.base_seed(generator)
        self.chunks = Chunks(budget)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        with computing(self.precision, self.recogniser):
            y = self._embed(check_images(images))
            similarities = self._attack(images, y)
            symmetry = self._symmetry(images, y) if self.symmetry else None
        return quality(similarities, symmetry, self.exponent)

    def similarities(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What every ablation follows from: S (B, k, l) ((B, k, 1) of the paper's variant) and s_f (B,).

        `quality(S[:, :k, :l], s_f, p)` is the score with fewer repeats k, fewer iterations l, another p.
        """
        with computing(self.precision, self.recogniser):
            y = self._embed(check_images(images))
            return self._attack(images, y), self._symmetry(images, y)

    def _embed(self, images):
        return embed(self.recogniser, images, self.chunks)

    def _symmetry(self, images, y):
        return F.cosine_similarity(y, self._embed(images.flip(3)), dim=1)           # s_f

    def _attack(self, images, y):
        """S (B, k, l): samples (image, repeat) of all images share the chunks."""
        if not len(images):
            return images.new_zeros(0, self.repeats, self.iterations)
        keys, k = noise.content_keys(images), self.repeats

        def draw(first, last):
            generators = [noise.sample_generator(self.seed, keys[index // k], index % k)
                          for index in range(first, last)]
            return noise.uniform(generators, images.shape[1:], images.device, self.epsilon)

        def kernel(first, last, drawn):
            rows = torch.arange(first, last, device=images.device) // k
            return attack(self.recogniser, images[rows] + drawn, y[rows], self.epsilon, self.iterations, self.variant)

        size = self.chunks.size("attack", lambda: activation_bytes(self.recogniser, (images[:1],), True),
                                images.device)
        found = self.chunks.run(kernel, len(images) * k, size, draw, images.device)
        return found.unflatten(0, (len(images), k))


def attack(recogniser, starts, y, epsilon: float, iterations: int, variant="reference") -> torch.Tensor:
    """Iterated FGSM from `starts` (N, 3, H, W): cosines (N, l) to y (N, D), one per iteration.

    "reference": S_t of x_t for t = 0..l-1, so that the last example needs no gradient;
    "paper": (N, 1), of x_l alone.
    """
    x = starts.clamp(-1, 1)                                                         # x_0; the range is -1..1
    recorded = []
    last = iterations - 1 if variant == "reference" else iterations
    for t in range(last):
        x.requires_grad_(True)
        with torch.enable_grad():
            similarity = F.cosine_similarity(y, recogniser(x), dim=1)               # S_t
            gradient, = torch.autograd.grad(-similarity.sum(), x)                   # of the distance 1 - cos
        recorded.append(similarity.detach())
        x = (x.detach() + epsilon * gradient.sign()).clamp(-1, 1)                   # FGSM step
    with torch.no_grad():
        recorded.append(F.cosine_similarity(y, recogniser(x), dim=1))
    return torch.stack(recorded, dim=1) if variant == "reference" else recorded[-1][:, None]


def quality(similarities: torch.Tensor, symmetry: torch.Tensor | None, exponent: int = 5) -> torch.Tensor:
    """Q (B,) from S (B, k, l) and s_f (B,), or None where symmetry does not count."""
    s = similarities.flatten(1)
    mean = s.mean(dim=1)
    spread = (s - mean[:, None]).square().mean(dim=1).sqrt().clamp(0, 1)            # population deviation
    q = (mean + 1) / 2 * (1 - spread)                                      # q_adv
    return (q if symmetry is None else q * symmetry) ** exponent                    # Q


def passes(options: dict, network) -> int:
    """Forward passes an image, a gradient counted as one more: the last of the l examples needs none."""
    return options["repeats"] * (2 * options["iterations"] - 1) + 2


METHODS = [Method("faceqan", "FaceQAN", FaceQAN, needs=("recogniser",), passes=passes, paper={"repeats": 10})]
