"""LightQNet: a very small network that scores the pixels themselves.

Chen, Yi and Lv, "LightQNet", IEEE Signal Processing Letters 28, 2021. A small MobileNetV3 without
squeeze-and-excitation, released in three widths as TensorFlow graphs; `from_tensorflow` takes their tensors.
"""
import re

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from fiqa_core.errors import FiqaError
from fiqa_core.images import to_pixels
from fiqa_core.methods.one_pass import OnePass

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


def from_tensorflow(tensors: dict) -> dict:
    """State dict of LightQNetNetwork from the tensors of a released graph, by their TensorFlow names.

    Convolutions there are (kh, kw, in, out), depthwise ones (kh, kw, in, 1), the last layer (in, 1). A dict
    without such names comes back as it is; names that belong to no layer are kept, for the loader to report.
    """
    if not any("/" in name for name in tensors):
        return tensors
    state = {}
    for name, tensor in tensors.items():
        key, tensor = torch_name(name), torch.as_tensor(tensor)
        if key.endswith("conv.weight") and tensor.ndim == 4:
            tensor = tensor.permute((2, 3, 0, 1) if "depthwise" in key else (3, 2, 0, 1))
        state[key] = tensor.T if key == "bottleneck.weight" else tensor
        if key.endswith("running_var"):
            state[key.replace("running_var", "num_batches_tracked")] = torch.tensor(0)
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
