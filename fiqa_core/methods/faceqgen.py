"""FaceQgen (re-interpretation): a good face is one that its restoration hardly changes.

Idea of Hernandez-Ortega, Fierrez, Serna, Morales, "FaceQgen: Semi-Supervised Deep Learning for Face Image
Quality Assessment", FG 2021 (arXiv 2201.00770): a generator learns to restore any face to the best picture
of the same person. Quality is read off the similarity of face and restoration, or off the discriminator.

The authors published neither networks nor weights nor the details of training (the file their repository
links is FaceQnet's). Networks and losses here are our own reading of the idea, and the numbers in the
papers' tables cannot be reproduced with it; therefore it is called a re-interpretation wherever it appears.
Losses and optimiser are those of pix2pix (Isola et al., CVPR 2017): binary cross-entropy against the
discriminator plus 100 times the L1 distance to the target, Adam with betas (0.5, 0.999).
"""
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.base.method import Method
from fiqa_core.kernels.chunks import Chunks, activation_bytes, check_images
from fiqa_core.recognisers.precision import full_float32
from fiqa_core.methods.pixels import luminance
from fiqa_core.recognisers.recogniser import resize
from fiqa_core.recognisers.trunk import image_batch
from fiqa_core.training.fitting import Resume, descend, run, run_identity, settings_of, untrained

NAME = "FaceQgen (re-interpretation)"
MEASURES = ("mse", "ssim", "discriminator", "restored")
WINDOW, DEVIATION = 11, 1.5                     # of SSIM's Gaussian, in pixels
STABILISERS = (0.01 * 2) ** 2, (0.03 * 2) ** 2  # C1, C2 for values that span 2


class FaceQgen(nn.Module):
    """Callable: images (B, 3, 112, 112) float32 RGB in [0, 1] -> quality (B,) float32, higher is better.

    size      side of the pictures inside, divisible by 2 for each of the widths
    widths    channels of the generator's encoder, halving the size each; the decoder mirrors them
    critic    channels of the discriminator
    measure   which read-out is the quality, see `readouts`
    budget    bytes of activations at once; None: chosen for the device

    Raises FiqaError for unfit images or parameters.
    """

    def __init__(self, size: int = 64, widths=(16, 32, 64, 128, 128), critic=(16, 32, 64, 128),
                 measure: str = "discriminator", budget: int | None = None):
        super().__init__()
        if measure not in MEASURES:
            raise FiqaError(f"measure is {measure!r}", f"use one of {', '.join(MEASURES)}")
        halvings = max(len(widths), len(critic))
        if not widths or not critic or size % 2 ** halvings or size < WINDOW:
            raise FiqaError(f"size {size} cannot be halved {halvings} times, or is too small",
                            "use a power of two such as 64, and at least one width of each network")
        self.size, self.widths, self.critic, self.measure = size, widths, critic, measure
        self.chunks = Chunks(budget)
        self.generator, self.discriminator = Generator(widths), Discriminator(critic)
        self.eval()

    def prepare(self, images: torch.Tensor) -> torch.Tensor:
        """Images (B, 3, 112, 112) in [0, 1] as the networks want them: (B, 3, size, size) in [-1, 1]."""
        return 2 * resize(images, (self.size, self.size)) - 1

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.readouts(images)[self.measure]

    @torch.no_grad()
    def readouts(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """All measures (B,) of a batch; x is the face and G(x) its restoration.

        mse            1 - mean((x - G(x))^2) / 4, in [0, 1]
        ssim           SSIM(x, G(x)) of luminance, in [-1, 1]. Blur may raise it: G(x) is smooth
        discriminator  D(x), in [0, 1]: how much the face resembles a best picture
        restored       D(G(x)), in [0, 1]
        The authors name the first two and "the discriminator's score"; of which picture is not known.
        """
        if not len(check_images(images)):
            return dict.fromkeys(MEASURES, images.new_zeros(0))

        def kernel(first, last):
            x = self.prepare(images[first:last])
            restored = self.generator(x)
            return torch.stack((1 - (x - restored).square().mean(dim=(1, 2, 3)) / 4,
                                ssim(luminance(x), luminance(restored)),
                                self.discriminator(x).sigmoid(),
                                self.discriminator(restored).sigmoid()), dim=1)

        with full_float32():
            size = self.chunks.size("restore", lambda: activation_bytes(
                self.generator, (self.prepare(images[:1]),), False), images.device)
            return dict(zip(MEASURES, self.chunks.run(kernel, len(images), size).unbind(1)))


class Generator(nn.Module):
    """Encoder and decoder: pictures (B, 3, S, S) in [-1, 1] to restorations of the same shape and range.

    Without skip connections: they would let the network copy its input, and the similarity of face and
    restoration would say nothing. All that passes is the last map, the person's few hundred numbers.
    """

    def __init__(self, widths):
        super().__init__()
        up = [*reversed(widths)]
        self.encoder = nn.Sequential(halve(3, widths[0], norm=False),
                                     *[halve(a, b, norm=True) for a, b in pairwise(widths)])
        self.decoder = nn.Sequential(*[double(a, b) for a, b in pairwise(up)],
                                     nn.ConvTranspose2d(up[-1], 3, 4, 2, padding=1), nn.Tanh())

    def forward(self, x):
        return self.decoder(self.encoder(x))


class Discriminator(nn.Module):
    """Pictures (B, 3, S, S) in [-1, 1] to logits (B,): best picture of a person, or the generator's work.

    It sees a single picture, not a pair as in pix2pix, so that it can judge a face without a reference.
    """

    def __init__(self, widths):
        super().__init__()
        self.maps = nn.Sequential(*[halve(a, b, norm=False) for a, b in pairwise([3, *widths])])
        self.linear = nn.Linear(widths[-1], 1)

    def forward(self, x):
        return self.linear(self.maps(x).mean(dim=(2, 3))).squeeze(1)


def halve(inputs: int, width: int, norm: bool) -> nn.Sequential:
    """Convolution to half the size, batch norm if wanted, leaky rectifier."""
    return nn.Sequential(nn.Conv2d(inputs, width, 4, 2, padding=1, bias=not norm),
                         nn.BatchNorm2d(width) if norm else nn.Identity(), nn.LeakyReLU(0.2))


def double(inputs: int, width: int) -> nn.Sequential:
    """Transposed convolution to twice the size, batch norm, rectifier."""
    return nn.Sequential(nn.ConvTranspose2d(inputs, width, 4, 2, padding=1, bias=False),
                         nn.BatchNorm2d(width), nn.ReLU())


def ssim(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Structural similarity (B,) of luminances (B, H, W) that span [-1, 1]; 1 of equal pictures.

    Wang et al., IEEE TIP 13(4), 2004, eq. 13, with a Gaussian window of 11x11 and deviation 1.5; mean over
    the places where the window lies inside.
    """
    mean_a, mean_b, aa, bb, ab = blur(torch.stack((a, b, a * a, b * b, a * b), dim=1)).unbind(1)
    variances = aa - mean_a.square() + bb - mean_b.square()
    covariance = ab - mean_a * mean_b
    c1, c2 = STABILISERS
    return ((2 * mean_a * mean_b + c1) * (2 * covariance + c2)
            / ((mean_a.square() + mean_b.square() + c1) * (variances + c2))).mean(dim=(1, 2))


def blur(maps: torch.Tensor) -> torch.Tensor:
    """Gaussian means of maps (B, C, H, W) where the window lies inside: (B, C, H - 10, W - 10)."""
    offset = torch.arange(WINDOW, device=maps.device, dtype=maps.dtype) - WINDOW // 2
    weights = torch.exp(-offset.square() / (2 * DEVIATION ** 2))
    weights = (weights / weights.sum()).expand(maps.shape[1], 1, -1)
    rows = F.conv2d(maps, weights[..., None], groups=maps.shape[1])
    return F.conv2d(rows, weights[:, :, None], groups=maps.shape[1])


DEFAULTS = dict(size=64, widths=(16, 32, 64, 128, 128), critic=(16, 32, 64, 128), measure="discriminator",
                steps=1000, batch=16, learning_rate=2e-4, reconstruction=100.0, seed=0, log_every=50)
NETWORK = ("size", "widths", "critic", "measure")
COLUMNS = ("step", "critic_loss", "adversarial_loss", "l1")


def target_rows(images: pd.DataFrame) -> np.ndarray:
    """Row (N,) of the best picture of each row's identity: least severity, the first of equals.

    images  table of a face set; without a column `severity` the first picture of an identity is its target
    """
    severity = images["severity"].to_numpy(float) if "severity" in images else np.zeros(len(images))
    codes = np.unique(images["identity"].to_numpy(str), return_inverse=True)[1]
    order = np.lexsort((severity, codes))
    first = np.r_[True, np.diff(codes[order]) > 0]
    return order[first][codes]


def train_faceqgen(faces: FaceSet, recogniser=None, config: dict | None = None,
                   checkpoint: Path | None = None, device="cpu", log: Path | None = None) -> FaceQgen:
    """FaceQgen trained on `faces`, frozen and in eval mode.

    faces       images table with identity and, where known, severity
    recogniser  not used, FaceQgen sees pixels alone; there because all methods are trained by the same call
    config      overrides of DEFAULTS: arguments of FaceQgen, and steps, batch, learning_rate,
                reconstruction (weight of L1), seed, log_every
    checkpoint  state file: an interrupted run continues from it with the same result; None: no saving
    log         CSV of the mean losses of every `log_every` steps

    Everything random in a step follows from (seed, step). Raises FiqaError for unfit input.
    """
    settings = settings_of(config, DEFAULTS)
    if not len(faces):
        raise FiqaError("no faces to train FaceQgen on", "give a training face set")
    every, targets = settings["log_every"], target_rows(faces.images)
    model = untrained(lambda: FaceQgen(**{name: settings[name] for name in NETWORK}), settings["seed"])
    generator, discriminator = model.to(device).train().generator, model.discriminator
    critic_steps, generator_steps = (torch.optim.Adam(network.parameters(), settings["learning_rate"],
                                                      betas=(0.5, 0.999))
                                     for network in (discriminator, generator))

    def batch(number):
        """Faces and their targets of a step, prepared; both are mirrored in half of the cases."""
        draw = np.random.default_rng((settings["seed"], number))
        rows = np.sort(draw.choice(len(faces), min(settings["batch"], len(faces)), False))
        mirrored = draw.random(len(rows)) < 0.5
        return [model.prepare(image_batch(faces.pixels, chosen, mirrored, device))
                for chosen in (rows, targets[rows])]

    def step(number):
        """One step of the discriminator, then of the generator."""
        spoilt, best = batch(number)
        restored = generator(spoilt)
        critic = (towards(discriminator(best), 1) + towards(discriminator(restored.detach()), 0)) / 2
        descend(critic_steps, critic)
        discriminator.requires_grad_(False)                 # the generator's gradient passes through it only
        adversarial = towards(discriminator(restored), 1)
        l1 = F.l1_loss(restored, best)
        descend(generator_steps, adversarial + settings["reconstruction"] * l1)
        discriminator.requires_grad_(True)
        return [critic.item(), adversarial.item(), l1.item()]

    run("train FaceQgen", {"model": model, "critic_steps": critic_steps, "generator_steps": generator_steps},
        step, lambda number, sums: ([number * every, *(value / every for value in sums)], None),
        settings["steps"], every, COLUMNS,
        Resume(checkpoint, run_identity(model, settings, faces.pixels)), log)
    return model.eval().requires_grad_(False)


def towards(logits: torch.Tensor, label: float) -> torch.Tensor:
    """Binary cross-entropy of logits (B,) with one label for all."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


METHODS = [Method("faceqgen", NAME, FaceQgen, needs=("model",), train=train_faceqgen, training=DEFAULTS,
                  learns=lambda options, images: (0, options["steps"] * options["batch"]))]
