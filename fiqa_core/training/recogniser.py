"""One training loop for every recogniser; interrupted runs resume and end with the same weights.

Cheap degradations of a whole training batch: recognisers meet blur, low resolution and occlusion.
"""
import csv
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.base.images import to_batch
from fiqa_core.base.progress import progress
from fiqa_core.recognisers.heads import HEADS, TransFace
from fiqa_core.recognisers.recogniser import Recogniser
from fiqa_core.recognisers.zoo import recogniser_from_config
from fiqa_core.weights.formats.pytorch import read_checkpoint, write_atomically


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


HEAD_OPTIONS = ("scale", "margin", "momentum", "deviation", "kind", "plus", "h", "ema", "start", "magnitudes",
                "margins", "penalty", "gradient")
DEFAULTS = {"epochs": 12, "batch": 128, "lr": 0.1, "optimiser": "sgd", "weight_decay": 5e-4, "warmup": 0.1,
            "margin_warmup": 0.3, "augmentation": 0.0, "clip": 5.0, "seed": 1}
LOG_COLUMNS = ("epoch", "step", "loss", "accuracy", "lr", "margin_strength")


@dataclass
class Run:
    """What a checkpoint holds: the networks, the optimiser and the log so far."""

    recogniser: Recogniser
    head: torch.nn.Module
    optimiser: torch.optim.Optimizer
    rows: list


def train_recogniser(faces: FaceSet, config: dict, checkpoint: Path, device,
                     log: Path | None = None) -> Recogniser:
    """Train the recogniser that `config` describes on all images of `faces`; frozen, on `device`.

    config      network and its arguments (catalogue.FAMILIES), head and its arguments (heads.HEADS), and any
                of DEFAULTS: epochs, batch, lr (peak of the one-cycle schedule), optimiser (sgd or adamw),
                weight_decay, warmup and margin_warmup (parts of the run), augmentation (rate), clip, seed
    checkpoint  written after every epoch; a run that finds it there goes on from it
    log         CSV with one row per epoch: LOG_COLUMNS
    Raises FiqaError if the configuration is wrong, or belongs to another run than the checkpoint.
    """
    return train(faces, config, checkpoint, device, log).recogniser.freeze()


def train(faces: FaceSet, config: dict, checkpoint: Path, device, log: Path | None = None,
          head: Callable | None = None, initial: Recogniser | None = None) -> Run:
    """`train_recogniser` for those who need the trained head too.

    head     builds a loss head of its own, like an entry of HEADS; None: the one that `config` names
    initial  recogniser of the same architecture whose weights are the start; None: random ones
    """
    settings = {**DEFAULTS, **config}
    labels = torch.from_numpy(np.unique(faces.images["identity"].to_numpy(str), return_inverse=True)[1])
    steps = max(len(faces) // settings["batch"], 1)
    run = start(settings, int(labels.max()) + 1, device, head)
    if initial is not None:
        run.recogniser.network.load_state_dict(initial.network.state_dict())
    resume(run, config, checkpoint)
    epochs = range(len(run.rows), settings["epochs"])
    todo = progress([(epoch, step) for epoch in epochs for step in range(steps)],
                    f"train {config.get('name', settings['head'])}", len(epochs) * steps, "steps")
    pixels = np.ascontiguousarray(faces.pixels)
    with torch.random.fork_rng(devices=[device] if torch.device(device).type == "cuda" else []):
        for epoch in epochs:
            row = train_epoch(run, pixels, labels, settings, epoch, steps, todo)
            run.rows.append(row)
            save(run, config, checkpoint)
            if log is not None:
                write_log(run.rows, log)
    return run


def start(settings: dict, classes: int, device, head: Callable | None = None) -> Run:
    """Untrained networks and their optimiser; the same seed gives the same weights."""
    if head is None and settings.get("head") not in HEADS:
        raise FiqaError(f"unknown head {settings.get('head')!r} in a recogniser's configuration",
                        f"known heads: {', '.join(HEADS)}")
    with torch.random.fork_rng():
        torch.manual_seed(settings["seed"])
        recogniser = recogniser_from_config(settings).to(device).train()
        options = {key: settings[key] for key in HEAD_OPTIONS if key in settings}
        build = head or HEADS[settings["head"]]
        head = build(recogniser.embedding_size, classes, **options).to(device).train()
    parameters = [p for p in [*recogniser.network.parameters(), *head.parameters()] if p.requires_grad]
    groups = [{"params": [p for p in parameters if p.dim() > 1], "weight_decay": settings["weight_decay"]},
              {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0}]
    if settings["optimiser"] == "adamw":
        optimiser = torch.optim.AdamW(groups, settings["lr"])
    else:
        optimiser = torch.optim.SGD(groups, settings["lr"], momentum=0.9, nesterov=True)
    return Run(recogniser, head, optimiser, [])


def train_epoch(run, pixels, labels, settings, epoch, steps, todo) -> dict:
    """One pass over the images; everything random in it depends on (seed, epoch) alone."""
    seed = settings["seed"] * 1_000_003 + epoch
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    order = torch.randperm(len(pixels), generator=generator)
    device = next(run.head.parameters()).device
    total, losses, hits = settings["epochs"] * steps, 0.0, 0
    for step in range(steps):
        next(todo)
        done = epoch * steps + step
        rate = settings["lr"] * one_cycle(done / total, settings["warmup"])
        run.head.strength = min(done / max(settings["margin_warmup"] * total, 1), 1.0)
        chosen = order[step * settings["batch"]:(step + 1) * settings["batch"]]
        images = to_batch(mirror_half(pixels[chosen.numpy()], generator), device)
        images = augment(images, settings["augmentation"], generator)
        loss, right = train_step(run, images, labels[chosen].to(device), rate, settings["clip"])
        losses += loss
        hits += right
    count = steps * min(settings["batch"], len(pixels))
    if not math.isfinite(losses):
        raise FiqaError(f"training diverged in epoch {epoch + 1}: the loss is {losses}",
                        "lower lr in params.yaml")
    return dict(zip(LOG_COLUMNS, (epoch + 1, (epoch + 1) * steps, losses / steps, hits / count, rate,
                                  run.head.strength)))


def train_step(run, images, labels, rate, clip) -> tuple[float, int]:
    """One step of the optimiser; returns the loss and the number of images whose class is nearest."""
    for group in run.optimiser.param_groups:
        group["lr"] = rate
    outputs = run.recogniser.outputs(images)
    embeddings = run.recogniser.raw(outputs)
    spread = outputs[2:3] if isinstance(run.head, TransFace) else ()
    loss = run.head(embeddings, labels, *spread)
    run.optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(run.recogniser.network.parameters(), clip)
    run.optimiser.step()
    with torch.no_grad():
        right = int((run.head.cosines(embeddings).argmax(1) == labels).sum())
    return loss.item(), right


def one_cycle(part: float, warmup: float) -> float:
    """Learning rate relative to its peak after `part` of the run: linear up, cosine down to zero."""
    if part < warmup:
        return (part + 1e-3) / (warmup + 1e-3)
    return 0.5 + 0.5 * math.cos(math.pi * (part - warmup) / (1 - warmup))


def save(run: Run, config: dict, checkpoint: Path) -> None:
    """Write the state of a run, whole or not at all."""
    write_atomically({"config": config, "network": run.recogniser.network.state_dict(),
                      "head": run.head.state_dict(), "optimiser": run.optimiser.state_dict(),
                      "rows": run.rows}, checkpoint)


def resume(run: Run, config: dict, checkpoint: Path) -> None:
    """Bring a fresh run to where its checkpoint, if there is one, stopped."""
    if not Path(checkpoint).is_file():
        return
    content = read_checkpoint(checkpoint)
    if content.get("config") != config:
        raise FiqaError(f"{checkpoint} belongs to a run with another configuration",
                        "delete it to train anew, or restore the configuration to go on with it")
    run.recogniser.network.load_state_dict(content["network"])
    run.head.load_state_dict(content["head"])
    run.optimiser.load_state_dict(content["optimiser"])
    run.rows = content["rows"]


def write_log(rows: list[dict], log: Path) -> None:
    """The training curve as CSV, without times, so that two runs write the same file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, LOG_COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({key: value if isinstance(value, int) else f"{value:.6g}"
                             for key, value in row.items()})
