"""Extended training of DifFIQA's diffusion model (IJCB 2023): undoing noise and degradation at once.

The degradation is a chain after BSRGAN (Zhang et al., ICCV 2021): blur, down-up-sampling, Gaussian noise,
JPEG and camera-sensor noise in random order, once, for 20 % of the images twice, for 1 % a third time. Every
image has strengths and an order of its own. Lengths such as blur widths are meant for faces of 112 pixels and
scale with the image.
"""
import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import to_batch
from fiqa_core.kernels.diffusion import Diffusion
from fiqa_core.kernels.unet import UNet
from fiqa_core.training.fitting import Resume, descend, run, run_identity, settings_of, untrained

# The published run: batches of 16, gradients of 4 of them accumulated, 100 000 steps, constant rate.
PAPER = dict(dim=128, multipliers=(1, 2, 4, 8), size=112, heads=4, head_dim=32, steps=100_000, batch=64,
             learning_rate=8e-5, decay=False, time_bound=100, identity_start=False, seed=0, log_every=100)
NETWORK = ("dim", "multipliers", "size", "heads", "head_dim")
COLUMNS = ("step", "loss")


def blend(clean, degraded, t: torch.Tensor, bound: int) -> torch.Tensor:
    """x_mix = (1 - a) hq + a lq with a = sin(t / T * pi / 2), T = bound; t (B,) time indices."""
    a = torch.sin(t / bound * (math.pi / 2)).reshape(-1, 1, 1, 1)
    return (1 - a) * clean + a * degraded


def training_pair(diffusion: Diffusion, images, config: dict, generator: torch.Generator):
    """(x_t, t, hq) of a batch of images (B, 3, 112, 112): what the network sees, when, and must return."""
    flipped = (torch.rand(len(images), generator=generator) < 0.5).to(images.device)
    images = torch.where(flipped[:, None, None, None], images.flip(3), images)
    hq = diffusion.shrink(images)                                           # [-1, 1]
    lq = 2 * degrade((hq + 1) / 2, generator) - 1
    t = torch.randint(config["time_bound"], (len(hq),), generator=generator).to(hq.device)
    noise = torch.randn(hq.shape, generator=generator).to(hq.device)
    return diffusion.add_noise(blend(hq, lq, t, config["time_bound"]), t, noise), t, hq


def train_diffusion(pixels: np.ndarray, config: dict | None = None, checkpoint: Path | None = None,
                    device="cpu", log: Path | None = None, only: np.ndarray | None = None) -> Diffusion:
    """A `Diffusion` trained on faces, frozen and in eval mode.

    pixels       (N, 112, 112, 3) uint8, faces of good quality
    config       overrides of PAPER. For short runs: decay lowers the learning rate to 0 along a half cosine,
                 identity_start begins with a network that returns its input
    checkpoint   state file: an interrupted run continues from it with the same result; None: no saving
    only         rows (M,) of the pixels to learn from, which may lie on disk; None: all
    log          CSV of the mean loss of every `log_every` steps

    The noise of step i follows from (seed, i) alone. Raises FiqaError for unfit input.
    """
    settings = settings_of(config, PAPER)
    only = np.arange(len(pixels)) if only is None else only
    if not len(only):
        raise FiqaError("no faces to train the diffusion model on", "give pixels (N, 112, 112, 3)")
    seed, every, rate = settings["seed"], settings["log_every"], settings["learning_rate"]
    diffusion = untrained(lambda: Diffusion(**{name: settings[name] for name in NETWORK}), seed)
    diffusion = diffusion.to(device).train()
    if settings["identity_start"]:
        start_as_identity(diffusion.model)
    optimiser = torch.optim.Adam(diffusion.parameters(), lr=rate, betas=(0.9, 0.99))

    def step(number):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
        rows = only[torch.randint(len(only), (settings["batch"],), generator=generator).sort()[0].numpy()]
        x, t, hq = training_pair(diffusion, to_batch(pixels[rows], device), settings, generator)
        if settings["decay"]:
            for group in optimiser.param_groups:
                group["lr"] = rate * (1 + math.cos(math.pi * number / settings["steps"])) / 2
        loss = (diffusion.model(x, t) - hq).square().mean()
        descend(optimiser, loss)
        return [loss.item()]

    run("train diffusion", {"model": diffusion, "optimiser": optimiser}, step,
        lambda number, sums: ([number * every, sums[0] / every], None), settings["steps"], every, COLUMNS,
        Resume(checkpoint, run_identity("diffusion", settings, pixels, only)), log)
    return diffusion.eval().requires_grad_(False)


@torch.no_grad()
def start_as_identity(unet: UNet) -> None:
    """Weights with which the U-Net returns its input: colours pass from the stem to the output, and the last
    residual branch, which all other layers feed, starts at zero."""
    stem, last, out = unet.init_conv, unet.final_res_block, unet.final_conv
    width, colours, centre = stem.out_channels, stem.in_channels, stem.kernel_size[0] // 2
    for layer in (last.res_conv, out):
        layer.weight.zero_()
        layer.bias.zero_()
    stem.weight[:colours] = 0
    stem.bias[:colours] = 0
    for colour in range(colours):
        stem.weight[colour, colour, centre, centre] = 1
        last.res_conv.weight[colour, width + colour] = 1            # input: decoder, then stem
        out.weight[colour, colour] = 1
    last.block2.norm.weight.zero_()
    last.block2.norm.bias.zero_()


AGAIN = 0.2, 0.05                   # chance of a second chain, and of a third after a second: 1 % of all


def degrade(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Degraded copies of images (B, 3, S, S) in [0, 1]; generator on the CPU."""
    images = _chain(images, generator)
    rows = torch.arange(len(images))
    for share in AGAIN:
        rows = rows[torch.rand(len(rows), generator=generator) < share]
        if len(rows):
            images[rows] = _chain(images[rows], generator)
    return images


def _chain(images, generator):
    """Every operation once per image, in an order drawn per image."""
    order = torch.rand(len(images), len(OPERATIONS), generator=generator).argsort(1)
    images = images.clone()
    for place in range(len(OPERATIONS)):
        for number, operation in enumerate(OPERATIONS):
            rows = (order[:, place] == number).nonzero()[:, 0]
            if len(rows):
                images[rows] = operation(images[rows], generator).clamp(0, 1)
    return images


def _between(low: float, high: float, like, generator) -> torch.Tensor:
    """(B, 1, 1, 1) values of U(low, high) on the images' device."""
    drawn = torch.rand(len(like), 1, 1, 1, generator=generator)
    return (low + (high - low) * drawn).to(like.device)


def _normal(shape, like, generator) -> torch.Tensor:
    return torch.randn(shape, generator=generator).to(like.device)


def blur(images, generator):
    """Gaussian blur, sigma 0.1 to 4 pixels; for half of the images two widths and an angle (anisotropic)."""
    side = images.shape[-1]
    unit = side / 112
    wide, narrow = (_between(0.1, 4, images, generator) * unit for _ in range(2))
    narrow = torch.where(_between(0, 1, images, generator) < 0.5, wide, narrow)
    angle = _between(0, math.pi, images, generator)
    margin = side // 8
    padded = F.pad(images, [margin] * 4, mode="reflect")
    # A Gaussian is a Gaussian in frequency as well; there every image can have a kernel of its own.
    v = torch.fft.fftfreq(padded.shape[-2], device=images.device)[:, None]
    u = torch.fft.rfftfreq(padded.shape[-1], device=images.device)[None, :]
    along, across = u * angle.cos() + v * angle.sin(), v * angle.cos() - u * angle.sin()
    kept = torch.exp(-2 * math.pi ** 2 * ((wide * along) ** 2 + (narrow * across) ** 2))
    blurred = torch.fft.irfft2(torch.fft.rfft2(padded) * kept, s=padded.shape[-2:])
    return blurred[..., margin:-margin, margin:-margin]


def resample(images, generator):
    """Down to between 1/5 and the whole of the side and up again; bilinear, bicubic or nearest each way."""
    side = images.shape[-1]
    scales = torch.empty(len(images)).uniform_(0.2, 1, generator=generator)
    modes = torch.randint(3, (len(images), 2), generator=generator).tolist()
    results = []
    for image, scale, (down, up) in zip(images.split(1), scales.tolist(), modes):
        small = _resize(image, max(8, round(side * scale)), down)
        results.append(_resize(small, side, up))
    return torch.cat(results)


def _resize(image, side: int, mode: int):
    name = ("bilinear", "bicubic", "nearest")[mode]
    if name == "nearest":
        return F.interpolate(image, (side, side), mode=name)
    smaller = side < image.shape[-1]
    return F.interpolate(image, (side, side), mode=name, align_corners=False, antialias=smaller)


def gaussian_noise(images, generator):
    """Sigma 1 to 25 of 255: independent per channel, grey, or with random correlation between channels."""
    sigma = _between(1, 25, images, generator) / 255
    noise = _normal(images.shape, images, generator)
    mixing = _normal((len(images), 3, 3), images, generator)
    mixing = mixing / mixing.norm(dim=2, keepdim=True)                  # unit rows keep the variance
    kind = torch.randint(3, (len(images), 1, 1, 1), generator=generator).to(images.device)
    correlated = torch.einsum("bij,bjhw->bihw", mixing, noise)
    noise = torch.where(kind == 0, noise, torch.where(kind == 1, noise[:, :1], correlated))
    return images + sigma * noise


def sensor_noise(images, generator):
    """Shot and read noise of a camera, added to linear light (a power of 2.2 stands for its tone curve)."""
    light = images.clamp(0, 1) ** 2.2
    photons = 10 ** _between(2, 4, images, generator)                   # collected by a white pixel
    read = _between(0, 0.01, images, generator)
    noise = _normal(images.shape, images, generator) * (light / photons + read ** 2).sqrt()
    return (light + noise).clamp(min=0) ** (1 / 2.2)


LUMINANCE = ((16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55),
             (14, 13, 16, 24, 40, 57, 69, 56), (14, 17, 22, 29, 51, 87, 80, 62),
             (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
             (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99))
CHROMINANCE = ((17, 18, 24, 47), (18, 21, 26, 66), (24, 26, 56, 99), (47, 66, 99, 99))          # 99 elsewhere
YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


def jpeg(images, generator):
    """JPEG of quality 20 to 95 without subsampling: the quantisation of ITU-T T.81, Annex K."""
    quality = torch.randint(20, 96, (len(images), 1, 1, 1, 1, 1), generator=generator)
    quality = quality.to(images.device).float()
    luminance = torch.tensor(LUMINANCE, dtype=torch.float32)
    chrominance = torch.full((8, 8), 99.0)
    chrominance[:4, :4] = torch.tensor(CHROMINANCE)
    tables = torch.stack((luminance, chrominance, chrominance)).to(images.device)[:, None, None]
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)
    tables = ((tables * scale + 50) / 100).floor().clamp(1, 255)        # (B, 3, 1, 1, 8, 8)
    colour, cosine = torch.tensor(YCC, device=images.device), _cosines().to(images.device)
    side, missing = images.shape[-1], -images.shape[-1] % 8
    planes = torch.einsum("ij,bjhw->bihw", colour, images * 255 - 128)  # grey has chrominance 0
    blocks = F.pad(planes, [0, missing, 0, missing], mode="replicate")
    blocks = blocks.unflatten(3, (-1, 8)).unflatten(2, (-1, 8)).transpose(3, 4)
    coefficients = cosine @ blocks @ cosine.T
    coefficients = (coefficients / tables).round() * tables
    planes = (cosine.T @ coefficients @ cosine).transpose(3, 4).flatten(4, 5).flatten(2, 3)[..., :side, :side]
    return (torch.einsum("ij,bjhw->bihw", torch.linalg.inv(colour), planes) + 128) / 255


def _cosines() -> torch.Tensor:
    """The orthonormal 8-point discrete cosine transform."""
    k = torch.arange(8.0)
    matrix = torch.cos((2 * k[None] + 1) * k[:, None] * math.pi / 16) / 2
    matrix[0] /= math.sqrt(2)
    return matrix


OPERATIONS = blur, resample, gaussian_noise, jpeg, sensor_noise
