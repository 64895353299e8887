"""SphereNet-64, PFE's recogniser: SphereFace's residual network of convolutions without batch norm.

Liu et al., "SphereFace", CVPR 2017; with a batch norm behind the embedding in Shi and Jain, "Probabilistic
Face Embeddings", ICCV 2019.
"""
import torch
from torch import nn
from torch.nn import functional as F

EPS = 1e-3


class SphereNet(nn.Module):
    """Prepared images (B, 3, 112, 96) -> (embedding (B, D) before its normalisation, last features (B, F)).

    units      residual units of each stage; 64 layers as published
    widths     channels of each stage
    size       (height, width) of the images
    The features are flattened in TensorFlow's order, the channel fastest.
    """

    def __init__(self, units=(3, 8, 16, 3), widths=(64, 128, 256, 512), embedding=512, size=(112, 96)):
        super().__init__()
        before = (3, *widths[:-1])
        self.stages = nn.Sequential(*map(Stage, before, widths, units))
        self.features = widths[-1] * (size[0] >> len(widths)) * (size[1] >> len(widths))
        self.linear = nn.Linear(self.features, embedding, bias=False)
        self.bn = ShiftedNorm(embedding, eps=EPS)

    def forward(self, prepared):
        features = self.stages(prepared).permute(0, 2, 3, 1).flatten(1)
        return self.bn(self.linear(features)), features


class Stage(nn.Module):
    """A convolution that halves the map, and residual units.

    For maps of even sides: the border is added below and on the right only, as TensorFlow does.
    """

    def __init__(self, before: int, after: int, units: int):
        super().__init__()
        self.down = nn.Conv2d(before, after, 3, stride=2)
        self.prelu = nn.PReLU(after)
        self.units = nn.Sequential(*(Unit(after) for _ in range(units)))

    def forward(self, x):
        return self.units(self.prelu(self.down(F.pad(x, (0, 1, 0, 1)))))


class Unit(nn.Module):
    """Two convolutions, each with a PReLU, beside the input; nothing follows their sum."""

    def __init__(self, width: int):
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.prelu1 = nn.PReLU(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.prelu2 = nn.PReLU(width)

    def forward(self, x):
        return x + self.prelu2(self.conv2(self.prelu1(self.conv1(x))))


class ShiftedNorm(nn.BatchNorm1d):
    """A batch norm that learns a shift and no scale, the default of TensorFlow's slim."""

    def __init__(self, width: int, eps: float):
        super().__init__(width, eps=eps, affine=False)
        self.bias = nn.Parameter(torch.zeros(width))
