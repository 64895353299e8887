"""MobileFaceNet in the two layouts that descend from face.evoLVe: eDifFIQA(T)'s and CurricularFace's.

Chen et al., "MobileFaceNets", CCBR 2018; the skeleton is that of `mobilefacenet`.
"""
from collections import OrderedDict

from torch import nn
from torch.nn import functional as F

from fiqa_core.recognisers.mobilefacenet import conv_bn


class EvolveTrunk(nn.Module):
    """What both share: images (B, 3, 112, 112) to maps (B, 512, 7, 7)."""

    def __init__(self):
        super().__init__()
        self.conv1 = conv_bn(3, 64, 3, 2)
        self.conv2_dw = conv_bn(64, 64, 3, groups=64)
        self.conv_23 = EvolveBottleneck(64, 64, 128, 2)
        self.conv_3 = Repeated(64, 128, 4)
        self.conv_34 = EvolveBottleneck(64, 128, 256, 2)
        self.conv_4 = Repeated(128, 256, 6)
        self.conv_45 = EvolveBottleneck(128, 128, 512, 2)
        self.conv_5 = Repeated(128, 256, 2)
        self.conv_6_sep = conv_bn(128, 512, 1)

    def maps(self, images):
        x = self.conv_3(self.conv_23(self.conv2_dw(self.conv1(images))))
        return self.conv_6_sep(self.conv_5(self.conv_45(self.conv_4(self.conv_34(x)))))


class MobileFaceNetUnit(EvolveTrunk):
    """The backbone of eDifFIQA(T): images (B, 3, 112, 112) to unit embeddings."""

    def __init__(self, embedding=512):
        super().__init__()
        self.conv_6_dw = conv_bn(512, 512, 7, padding=0, groups=512, activation=False)
        self.linear = nn.Linear(512, embedding, bias=False)
        self.bn = nn.BatchNorm1d(embedding)

    def forward(self, images):
        x = self.conv_6_dw(self.maps(images))
        return F.normalize(self.bn(self.linear(x.flatten(1))))


class MobileFaceNetCurricularFace(EvolveTrunk):
    """Layout of the CurricularFace repository: (raw embeddings (B, embedding), maps (B, 512, 7, 7))."""

    def __init__(self, embedding=512):
        super().__init__()
        self.output_layer = nn.Sequential(OrderedDict(
            conv_6_dw=conv_bn(512, 512, 7, padding=0, groups=512, activation=False), flatten=nn.Flatten(),
            linear=nn.Linear(512, embedding, bias=False), bn=nn.BatchNorm1d(embedding)))

    def forward(self, images):
        maps = self.maps(images)
        return self.output_layer(maps), maps


class EvolveBottleneck(nn.Module):
    """Expand, depthwise, project with named parts; the residual is added by `Repeated`."""

    def __init__(self, inputs, width, expanded, stride):
        super().__init__()
        self.conv = conv_bn(inputs, expanded, 1)
        self.conv_dw = conv_bn(expanded, expanded, 3, stride, groups=expanded)
        self.project = conv_bn(expanded, width, 1, activation=False)

    def forward(self, x):
        return self.project(self.conv_dw(self.conv(x)))


class Repeated(nn.Module):
    """A chain of bottlenecks of equal width, each with a residual connection."""

    def __init__(self, width, expanded, count):
        super().__init__()
        self.model = nn.Sequential(*[EvolveBottleneck(width, width, expanded, 1) for _ in range(count)])

    def forward(self, x):
        for bottleneck in self.model:
            x = x + bottleneck(x)
        return x
