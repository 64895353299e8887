"""Training of a face recogniser: its network and its loss head, on the identities of a training set.

The images of a batch are mirrored, and where wanted meet cheap degradations: blur, low resolution, occlusion.
"""
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.base.images import to_batch
from fiqa_core.recognisers.heads import HEADS, TransFace
from fiqa_core.recognisers.recogniser import Recogniser
from fiqa_core.recognisers.zoo import recogniser_from_config
from fiqa_core.training.fitting import Resume, decayed, descend, run, run_identity, untrained
from fiqa_core.training.people import codes_of

HEAD_OPTIONS = ("scale", "margin", "momentum", "deviation", "kind", "plus", "h", "ema", "start", "magnitudes",
                "margins", "penalty", "gradient", "filtering")
DEFAULTS = {"epochs": 12, "batch": 128, "lr": 0.1, "optimiser": "sgd", "weight_decay": 5e-4, "warmup": 0.1,
            "margin_warmup": 0.3, "augmentation": 0.0, "clip": 5.0, "seed": 1}
COLUMNS = ("epoch", "step", "loss", "accuracy", "lr", "margin_strength")


def train_recogniser(faces: FaceSet, config: dict, checkpoint: Path | None = None, device="cpu",
                     log: Path | None = None) -> Recogniser:
    """Train the recogniser that `config` describes on all images of `faces`; frozen, on `device`.

    config      network and its arguments (zoo.FAMILIES), head and its arguments (heads.HEADS), and any
                of DEFAULTS: epochs, batch, lr (peak of the one-cycle schedule), optimiser (sgd or adamw),
                weight_decay, warmup and margin_warmup (parts of the run), augmentation (rate), clip, seed
    checkpoint  state file, written after every epoch: an interrupted run continues from it with the same
                result; None: no saving
    log         CSV with one row per epoch: COLUMNS
    Raises FiqaError if the configuration is wrong.
    """
    return train(faces, config, checkpoint, device, log)[0].freeze()


def train(faces: FaceSet, config: dict, checkpoint: Path | None, device, log: Path | None = None,
          head: Callable | None = None, initial: Recogniser | None = None) -> tuple[Recogniser, nn.Module]:
    """`train_recogniser` for those who need the trained head too: both, not frozen.

    head     builds a loss head of its own, like an entry of HEADS; None: the one that `config` names
    initial  recogniser of the same architecture whose weights are the start; None: random ones
    """
    settings, pixels = {**DEFAULTS, **config}, np.ascontiguousarray(faces.pixels)
    labels = torch.from_numpy(codes_of(faces.images["identity"]))
    classes = int(labels.max()) + 1
    recogniser, head = untrained(lambda: start(settings, classes, device, head), settings["seed"])
    if initial is not None:
        recogniser.network.load_state_dict(initial.network.state_dict())
    optimiser = optimiser_of([*recogniser.network.parameters(), *head.parameters()], settings)
    batch, generator, order = settings["batch"], torch.Generator(), None
    count = max(len(faces) // batch, 1)
    total = settings["epochs"] * count

    def pace(done):
        """Learning rate and strength of the margin after `done` steps."""
        return (settings["lr"] * one_cycle(done / total, settings["warmup"]),
                min(done / max(settings["margin_warmup"] * total, 1), 1.0))

    def step(number):
        nonlocal order
        epoch, position = divmod(number, count)
        if position == 0:                       # everything random in an epoch depends on (seed, epoch) alone
            torch.manual_seed(settings["seed"] * 1_000_003 + epoch)
            generator.manual_seed(settings["seed"] * 1_000_003 + epoch)
            order = torch.randperm(len(pixels), generator=generator)
        rate, head.strength = pace(number)
        for group in optimiser.param_groups:
            group["lr"] = rate
        chosen = order[position * batch:(position + 1) * batch]
        images = to_batch(mirror_half(pixels[chosen.numpy()], generator), device)
        images = augment(images, settings["augmentation"], generator)
        outputs, wanted = recogniser.outputs(images), labels[chosen].to(device)
        embeddings = recogniser.raw(outputs)
        spread = outputs[2:3] if isinstance(head, TransFace) else ()
        loss = head(embeddings, wanted, *spread)
        descend(optimiser, loss, settings["clip"], recogniser.network.parameters())
        with torch.no_grad():                   # images whose class centre is the nearest, after the step
            return [loss.item(), int((head.cosines(embeddings).argmax(1) == wanted).sum())]

    def row(epoch, sums):
        seen = count * min(batch, len(pixels))
        return [epoch, epoch * count, sums[0] / count, sums[1] / seen, *pace(epoch * count - 1)], None

    run(f"train {config.get('name', settings.get('head'))}", {"network": recogniser.network, "head": head,
        "optimiser": optimiser}, step, row, total, count, COLUMNS,
        Resume(checkpoint, run_identity("recogniser", config, pixels, labels.numpy())), log, whole=True)
    return recogniser, head


def start(settings: dict, classes: int, device, head: Callable | None = None) -> tuple[Recogniser, nn.Module]:
    """The untrained recogniser and its head, in training mode. Raises FiqaError for an unknown head."""
    if head is None and settings.get("head") not in HEADS:
        raise FiqaError(f"unknown head {settings.get('head')!r} in a recogniser's configuration",
                        f"known heads: {', '.join(HEADS)}")
    recogniser = recogniser_from_config(settings).to(device).train()
    options = {key: settings[key] for key in HEAD_OPTIONS if key in settings}
    build = head or HEADS[settings["head"]]
    return recogniser, build(recogniser.embedding_size, classes, **options).to(device).train()


def optimiser_of(parameters: list, settings: dict) -> torch.optim.Optimizer:
    """AdamW, or SGD with Nesterov's momentum, of those parameters that learn."""
    groups = decayed([parameter for parameter in parameters if parameter.requires_grad],
                     settings["weight_decay"])
    if settings["optimiser"] == "adamw":
        return torch.optim.AdamW(groups, settings["lr"])
    return torch.optim.SGD(groups, settings["lr"], momentum=0.9, nesterov=True)


def one_cycle(part: float, warmup: float) -> float:
    """Learning rate relative to its peak after `part` of the run: linear up, cosine down to zero."""
    if part < warmup:
        return (part + 1e-3) / (warmup + 1e-3)
    return 0.5 + 0.5 * math.cos(math.pi * (part - warmup) / (1 - warmup))


def augment(images, rate, generator):
    """Blur, coarsen and cover each image with probability `rate` per kind; 0 changes nothing.

    images (B, 3, H, W) in [0, 1]; the random numbers come from `generator`, on the CPU, so that the
    same seed gives the same batch on every device.
    """
    if rate == 0:
        return images

    def chosen(probability):
        return (torch.rand(len(images), 1, 1, 1, generator=generator) < probability).to(images.device)

    images = torch.where(chosen(rate), blur(images), images)
    images = torch.where(chosen(rate), coarsen(images), images)
    return torch.where(chosen(rate) & box(images, generator), images.mean((1, 2, 3), keepdim=True), images)


def blur(images):
    """Two box filters of 5x5 pixels, close to a Gaussian of 2 pixels."""
    for _ in range(2):
        images = F.avg_pool2d(images, 5, 1, 2, count_include_pad=False)
    return images


def coarsen(images, factor=4):
    """Every factor x factor block replaced by its mean, enlarged bilinearly."""
    small = F.avg_pool2d(images, factor)
    return F.interpolate(small, images.shape[-2:], mode="bilinear")


def box(images, generator):
    """Mask (B, 1, H, W) of one random rectangle per image, each side 20 % to 50 % of the image's."""
    count, _, height, width = images.shape
    centre = torch.rand(2, count, 1, 1, 1, generator=generator)
    half = 0.1 + 0.15 * torch.rand(2, count, 1, 1, 1, generator=generator)
    rows = (torch.arange(height) / height).view(1, 1, height, 1)
    columns = (torch.arange(width) / width).view(1, 1, 1, width)
    mask = ((rows - centre[0]).abs() < half[0]) & ((columns - centre[1]).abs() < half[1])
    return mask.to(images.device)


def mirror_half(pixels, generator):
    """Mirror each uint8 image of pixels (B, H, W, 3) with probability one half, in place; returns them."""
    chosen = torch.rand(len(pixels), generator=generator).numpy() < 0.5
    pixels[chosen] = pixels[chosen, :, ::-1]
    return pixels
