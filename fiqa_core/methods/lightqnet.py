"""LightQNet: a very small network that scores the pixels themselves, taught by one that knows the recogniser.

Chen, Yi and Lv, "LightQNet: Lightweight Deep Face Quality Assessment for Risk-Controlled Face Recognition",
IEEE Signal Processing Letters 28, 2021. A small MobileNetV3 without squeeze-and-excitation, released in three
widths as TensorFlow graphs; `from_tensorflow` takes their tensors. In training the teacher is a branch on the
recogniser's last maps, the student sees pixels alone. Both explain by the smaller of two qualities whether a
genuine pair matches; the student follows the teacher as well.
"""
import re
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.base.images import to_pixels
from fiqa_core.base.method import Method
from fiqa_core.kernels.chunks import OnePass
from fiqa_core.recognisers.recogniser import Recogniser
from fiqa_core.recognisers.trunk import image_batch, trunk_of, views
from fiqa_core.training.fitting import DEFAULTS as FITTING
from fiqa_core.training.fitting import Resume, fit, run_identity, settings_of, untrained
from fiqa_core.training.people import genuine_pairs, pair_batches, pair_cosines

SIDE = 96
EPS = 2e-5
STRIDES = (2, 1, 2, 1, 1, 1, 1, 2, 1, 1)
# Channels of the stem, then (expanded, out) of every block after the first, as released.
WIDTHS = {
    "dm100": (16, ((72, 24), (88, 24), (96, 40), (240, 40), (240, 40), (120, 48), (144, 48), (288, 96),
                   (576, 96), (576, 96))),
    "dm050": (8, ((40, 16), (56, 16), (64, 24), (144, 24), (144, 24), (72, 24), (72, 24), (144, 48),
                  (288, 48), (288, 48))),
    "dm025": (8, ((40, 8), (32, 8), (32, 16), (96, 16), (96, 16), (48, 16), (48, 16), (96, 24),
                  (144, 24), (144, 24))),
}


class LightQNet(OnePass):
    """Aligned images (B, 3, 112, 112) float32 RGB in [0, 1] -> quality (B,) in (0, 1), higher is better.

    LightQNet's template is ArcFace's at another size, so that resizing to 96x96 is all the alignment there is.
    width    one of WIDTHS; "dm050" is what the authors' demo uses
    colour   "bgr" as the demo feeds the network, or "rgb" as it was trained; rgb scores are up to 0.05 higher
    budget   bytes of activations at once; None: chosen for the device
    Raises FiqaError for an unknown width or colour and for unfit images.
    """

    def __init__(self, width: str = "dm050", colour: str = "bgr", budget: int | None = None):
        if colour not in ("bgr", "rgb"):
            raise FiqaError(f"colour is {colour!r}", 'use "bgr" (the demo) or "rgb" (as trained)')
        super().__init__(LightQNetNetwork(width), budget)
        self.width, self.colour = width, colour
        self.eval()

    def prepare(self, images):
        """(B, 3, 96, 96) in [-1, 1): resized in 8 bits, (x - 128) / 128. No gradient passes."""
        # By OpenCV itself: another rounding of the resized pixels moves scores by 0.01.
        small = np.stack([cv2.resize(pixels, (SIDE, SIDE)) for pixels in to_pixels(images)])
        levels = torch.from_numpy(small).to(images.device).permute(0, 3, 1, 2).float()
        return (levels.flip(1) if self.colour == "bgr" else levels) / 128 - 1

    def columns(self, images):
        return self.network(self.prepare(images))


class LightQNetNetwork(nn.Module):
    """Prepared images (B, 3, 96, 96) -> quality (B, 1) in (0, 1). Raises FiqaError for an unknown width."""

    def __init__(self, width: str = "dm050"):
        super().__init__()
        if width not in WIDTHS:
            raise FiqaError(f"there is no LightQNet {width!r}", f"choose one of: {', '.join(WIDTHS)}")
        channels, blocks = WIDTHS[width]
        self.stem = ConvNorm(3, channels, 3)
        self.blocks = nn.Sequential(Block(channels, None, channels, 2))
        for stride, (expanded, after) in zip(STRIDES, blocks):
            self.blocks.append(Block(channels, expanded, after, stride))
            channels = after
        self.last = ConvNorm(channels, 6 * channels, 1)
        self.bottleneck = nn.Linear(6 * channels, 1)

    def forward(self, prepared):
        x = self.last(self.blocks(self.stem(prepared)))
        return self.bottleneck(x.mean((2, 3))).sigmoid()


class Block(nn.Module):
    """Expand (unless `expanded` is None), depthwise, project; the input is added where shapes agree."""

    def __init__(self, before: int, expanded: int | None, after: int, stride: int):
        super().__init__()
        self.residual = expanded is not None and stride == 1 and before == after
        self.expand = ConvNorm(before, expanded, 1) if expanded else None
        middle = expanded or before
        self.depthwise = ConvNorm(middle, middle, 3, stride, groups=middle)
        self.project = ConvNorm(middle, after, 1, activation=False)

    def forward(self, x):
        inside = x if self.expand is None else self.expand(x)
        inside = self.project(self.depthwise(inside))
        return x + inside if self.residual else inside


class ConvNorm(nn.Module):
    """Convolution without bias, batch norm and, unless switched off, ReLU.

    With stride 2 the border is added below and on the right only, as TensorFlow does for even sizes.
    """

    def __init__(self, before, after, kernel, stride=1, groups=1, activation=True):
        super().__init__()
        self.border = (0, 1, 0, 1) if stride == 2 else None
        self.conv = nn.Conv2d(before, after, kernel, stride, 0 if self.border else kernel // 2, groups=groups,
                              bias=False)
        self.bn = nn.BatchNorm2d(after, eps=EPS)
        self.activation = activation

    def forward(self, x):
        x = x if self.border is None else F.pad(x, self.border)
        x = self.bn(self.conv(x))
        return F.relu(x) if self.activation else x


LAYERS = {"Conv": "stem", "expanded_conv": "blocks.0", "Conv_1": "last", "Bottleneck": "bottleneck"}
CONVOLUTION = {"weights": "conv.weight", "depthwise_weights": "conv.weight"}
LINEAR = {"weights": "weight", "biases": "bias"}
NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


# what a graph calls its weights; other constants are sizes and the like
VARIABLE = re.compile(r".*/(weights|depthwise_weights|biases|beta|gamma|moving_mean|moving_variance)")


def from_tensorflow(tensors: dict) -> dict:
    """State dict of LightQNetNetwork from the tensors of a released graph, by their TensorFlow names.

    Convolutions there are (kh, kw, in, out), depthwise ones (kh, kw, in, 1), the last layer (in, 1). Weights
    that belong to no layer are kept, for the loader to report. {} for the names of another network.
    """
    if not any(name.endswith("/BatchNorm/beta") for name in tensors):
        return {}
    state = {}
    for name in filter(VARIABLE.fullmatch, tensors):
        key, tensor = torch_name(name), tensors[name]
        if key.endswith("conv.weight") and tensor.ndim == 4:
            tensor = tensor.permute((2, 3, 0, 1) if "depthwise" in key else (3, 2, 0, 1))
        state[key] = tensor.T if key == "bottleneck.weight" else tensor
    return state


def torch_name(name: str) -> str:
    """'UncertaintyModule/MobilenetV3/expanded_conv_3/expand/weights' -> 'blocks.3.expand.conv.weight'."""
    scope, _, rest = name.removeprefix("UncertaintyModule/").removeprefix("MobilenetV3/").partition("/")
    scope = LAYERS.get(scope, re.sub(r"^expanded_conv_(\d+)$", r"blocks.\1", scope))
    *path, leaf = rest.split("/")
    if path[-1:] == ["BatchNorm"]:
        return ".".join((scope, *path[:-1], "bn", NORM.get(leaf, leaf)))
    if scope == "bottleneck":
        return f"{scope}.{LINEAR.get(leaf, leaf)}"
    return ".".join((scope, *path, CONVOLUTION.get(leaf, leaf)))


# scale s, margin m (0.4 in the paper; None: the median similarity of genuine pairs), distillation lambda
RULE = {"scale": 16.0, "margin": None, "distillation": 10.0}
DEFAULTS = {**FITTING, **RULE, "width": "dm050", "colour": "bgr", "people": 8, "each": 16, "optimiser": "sgd",
            "student_lr": 0.01, "teacher_lr": 0.01, "weight_decay": 1e-5}
SMALLEST = 1e-6                     # of a probability, so that its logarithm is finite


def train_lightqnet(faces: FaceSet, recogniser: Recogniser, config: dict | None = None,
                    checkpoint: Path | None = None, device="cpu", log: Path | None = None,
                    student: nn.Module | None = None) -> nn.Module:
    """A LightQNet trained with a teacher that is trained beside it, frozen.

    student     another network to train in place: `columns` of images (B, 3, 112, 112) in [0, 1] are (B, K),
                differentiable, the last one a quality in (0, 1); None: a LightQNet of `width` and `colour`
    config      overrides of DEFAULTS; a batch has `people` groups of up to `each` images of one person, four
                or more of each work clearly better than two
    checkpoint  state file: an interrupted run continues from it with the same result; None: no saving
    log         CSV of the losses of each epoch
    Raises FiqaError for faces without pairs and for unfit settings.
    """
    settings = settings_of(config, DEFAULTS)
    codes, parts, draw = pair_batches(faces, settings)
    embeddings = F.normalize(views(recogniser, faces.pixels, device), dim=2)
    maps = views(trunk_of(recogniser), faces.pixels, device)
    teacher = untrained(lambda: Teacher(maps.shape[2]), settings["seed"]).to(device)
    student = student or untrained(lambda: LightQNet(settings["width"], settings["colour"]), settings["seed"])
    student, person = student.to(device).requires_grad_(True), torch.from_numpy(codes).to(device)
    margin = settings["margin"]
    if margin is None:
        some = draw(parts[0], np.random.default_rng(settings["seed"]))
        margin = median_similarity(embeddings[:, 0], some, person)

    def loss(rows, mirrored):
        view = mirrored.astype(int)
        pairs = genuine_pairs(person[rows])
        targets = match_probability(pair_cosines(embeddings[rows, view], pairs), settings["scale"], margin)
        taught = teacher(maps[rows, view])
        learnt = student.columns(image_batch(faces.pixels, rows, mirrored, device))[:, -1]
        return joint_loss(learnt, taught, pairs, targets, settings["distillation"])

    groups = [{"params": list(student.parameters()), "lr": settings["student_lr"]},
              {"params": list(teacher.parameters()), "lr": settings["teacher_lr"]}]
    fit({"student": student, "teacher": teacher}, groups, loss, parts, draw, settings,
        Resume(checkpoint, run_identity(student, settings, faces.pixels, embeddings.cpu().numpy())), log)
    return student.requires_grad_(False).eval()


class Teacher(nn.Module):
    """The quality branch: flattened last maps (B, F) -> quality (B,) in (0, 1)."""

    def __init__(self, features: int, hidden: int = 256):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, hidden), nn.BatchNorm1d(hidden), nn.ReLU(),
                                    nn.Linear(hidden, 1), nn.BatchNorm1d(1, affine=False), nn.Sigmoid())

    def forward(self, maps):
        return self.layers(maps).squeeze(1)


def median_similarity(embeddings: torch.Tensor, batches: list[np.ndarray], person: torch.Tensor) -> float:
    """Median cosine of the genuine pairs in batches: the margin at which half of the pairs match."""
    return torch.cat([pair_cosines(embeddings[rows], genuine_pairs(person[rows]))
                      for rows in batches]).median().item()


def match_probability(similarity, scale: float = 16.0, margin: float = 0.4) -> torch.Tensor:
    """t = sigmoid(s (cos - m)): how probably pairs of cosine similarity (P,) match at the threshold m."""
    return (scale * (similarity - margin)).sigmoid()


def identification_loss(quality: torch.Tensor, pairs: tuple[torch.Tensor, torch.Tensor],
                        targets: torch.Tensor) -> torch.Tensor:
    """L_IDQ: mean binary cross entropy between targets t (P,) and the smaller quality of each pair (i, j).

    quality (B,) in [0, 1]; of a pair only the image of smaller quality gets a gradient.
    """
    i, j = pairs
    smaller = torch.minimum(quality[i], quality[j])
    return F.binary_cross_entropy(smaller.clamp(SMALLEST, 1 - SMALLEST), targets)


def divergence(teacher: torch.Tensor, student: torch.Tensor) -> torch.Tensor:
    """Mean KL divergence of Bernoulli variables, teacher (B,) from student (B,), both in [0, 1].

    It teaches the student: the teacher gets no gradient.
    """
    p, q = (quality.clamp(SMALLEST, 1 - SMALLEST) for quality in (teacher.detach(), student))
    return (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).mean()


def joint_loss(student, teacher, pairs, targets, distillation: float = 10.0) -> torch.Tensor:
    """L = L_IDQ(S) + L_IDQ(T) + lambda KL(T || S) of qualities (B,); pairs and targets as above."""
    return (identification_loss(student, pairs, targets) + identification_loss(teacher, pairs, targets)
            + distillation * divergence(teacher, student))


METHODS = [Method("lightqnet", "LightQNet", LightQNet, needs=("model",), train=train_lightqnet, training=DEFAULTS,
                  learns=lambda options, images: (0,) + (options["epochs"] * images,) * 2,
                  translate=from_tensorflow,
                  released={f"lightqnet_{width}": partial(LightQNet, width) for width in WIDTHS})]
