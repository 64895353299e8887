"""MobileFaceNet in the layouts whose trained files are in use.

Chen et al., "MobileFaceNets", CCBR 2018. All share one skeleton: a strided convolution, a depthwise one,
fifteen inverted bottlenecks, a widening 1x1 convolution, a global depthwise convolution and a linear
layer. They differ in names, activation and end, which is what checkpoints depend on. Two layouts, those of
eDifFIQA(T) and CurricularFace, descend from face.evoLVe.
"""
from collections import OrderedDict
from itertools import groupby

from torch import nn
from torch.nn import functional as F

from fiqa_core.recognisers.layers import BatchNorm2d, PReLU, Sequential, conv_norm

# expansion, channels, repeats, stride of the first (table 1 of the paper)
BOTTLENECKS = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))


class MobileFaceNet(nn.Module):
    """Layout of Xiaoccer/MobileFaceNet_Pytorch: images (B, 3, 16h, 16w) to raw embeddings (B, embedding).

    last_kernel  (h, w) of the global depthwise convolution: (7, 6) for 112x96 images, (7, 7) for 112x112
    last_bias    whether the last convolution has a bias; eps, last_eps: of all batch norms and the last one
    """

    def __init__(self, last_kernel=(7, 6), embedding=128, last_bias=False, eps=1e-5, last_eps=1e-5,
                 bottlenecks=BOTTLENECKS, stem=64, wide=512, dropout=0.0):
        super().__init__()
        self.conv1 = conv_bn(3, stem, 3, 2, eps=eps)
        self.dw_conv1 = conv_bn(stem, stem, 3, groups=stem, eps=eps)
        self.blocks = nn.Sequential(*[XiaoccerBottleneck(*arguments, eps)
                                      for arguments in unroll(bottlenecks, stem)])
        self.conv2 = conv_bn(bottlenecks[-1][1], wide, 1, eps=eps)
        self.linear7 = conv_bn(wide, wide, last_kernel, padding=0, groups=wide, activation=False, eps=eps)
        self.dropout = nn.Dropout(dropout)
        self.linear1 = conv_bn(wide, embedding, 1, activation=False, bias=last_bias, eps=last_eps)

    def forward(self, images):
        x = self.conv2(self.blocks(self.dw_conv1(self.conv1(images))))
        return self.linear1(self.dropout(self.linear7(x))).flatten(1)


class MobileFaceNetFoamliu(nn.Module):
    """Layout of foamliu/MobileFaceNet: ReLU6, a pointwise convolution after the first depthwise one.

    Images (B, 3, 112, 112) to raw embeddings (B, embedding).
    """

    def __init__(self, embedding=128):
        super().__init__()
        self.conv1 = conv_bn_relu6(3, 64, 3, 2)
        self.dw_conv = SeparableConv(64)
        self.features = nn.Sequential(*[InvertedResidual(*arguments)
                                        for arguments in unroll(BOTTLENECKS, 64)])
        self.conv2 = conv_bn_relu6(128, 512, 1)
        self.gdconv = GlobalDepthwise(512)
        self.conv3 = nn.Conv2d(512, embedding, 1)
        self.bn = BatchNorm2d(embedding)

    def forward(self, images):
        x = self.conv2(self.features(self.dw_conv(self.conv1(images))))
        return conv_norm(self.conv3, self.bn, self.gdconv(x)).flatten(1)


class MobileFaceNetInsightFace(nn.Module):
    """Layout of InsightFace's `mbf`: images (B, 3, 112, 112) to raw embeddings (B, embedding).

    scale multiplies the stem and the bottlenecks' ends, not their expanded width.
    """

    def __init__(self, embedding=512, scale=2):
        super().__init__()
        stem, wide = 64 * scale, BOTTLENECKS[-1][1] * scale
        self.layers = nn.Sequential(unit(3, stem, 3, 2), unit(stem, stem, 3, groups=64))
        # Bottlenecks with a residual connection stand in chains, the strided ones between them.
        for residual, group in groupby(unroll(BOTTLENECKS, 64), key=lambda arguments: arguments[-1]):
            blocks = [insightface_bottleneck(inputs * scale, width * scale, expanded, stride, residual)
                      for inputs, width, expanded, stride, _ in group]
            self.layers.append(Chain(*blocks) if residual else blocks[0])
        self.conv_sep = unit(wide, 512, 1)
        self.features = Chain(unit(512, 512, 7, groups=512, padding=0, activation=False), nn.Flatten(),
                              nn.Linear(512, embedding, bias=False), nn.BatchNorm1d(embedding))

    def forward(self, images):
        return self.features(self.conv_sep(self.layers(images)))


class Chain(nn.Module):
    """Layers in sequence, numbered below `layers`; with `residual` the input is added to what they return."""

    def __init__(self, *layers, residual=False):
        super().__init__()
        self.layers = Sequential(*layers)
        self.residual = residual

    def forward(self, x):
        return x + self.layers(x) if self.residual else self.layers(x)


def unit(inputs, width, kernel, stride=1, groups=1, padding=None, activation=True):
    """Chain of convolution without bias, batch norm and, unless switched off, PReLU."""
    padding = kernel // 2 if padding is None else padding
    conv = nn.Conv2d(inputs, width, kernel, stride, padding, groups=groups, bias=False)
    return Chain(conv, BatchNorm2d(width), *([PReLU(width)] if activation else []))


def insightface_bottleneck(inputs, width, expanded, stride, residual):
    """Expand, depthwise, project."""
    return Chain(unit(inputs, expanded, 1), unit(expanded, expanded, 3, stride, groups=expanded),
                 unit(expanded, width, 1, activation=False), residual=residual)


def unroll(bottlenecks, inputs):
    """(inputs, width, expanded width, stride, residual) of every bottleneck in order."""
    for expansion, width, repeats, first_stride in bottlenecks:
        for index in range(repeats):
            stride = first_stride if index == 0 else 1
            yield inputs, width, inputs * expansion, stride, stride == 1 and inputs == width
            inputs = width


class ConvNorm(nn.Module):
    """Convolution, batch norm and, unless switched off, PReLU."""

    def __init__(self, conv, eps, activation):
        super().__init__()
        self.conv = conv
        self.bn = BatchNorm2d(conv.out_channels, eps=eps)
        self.prelu = PReLU(conv.out_channels) if activation else None

    def forward(self, x):
        x = conv_norm(self.conv, self.bn, x)
        return x if self.prelu is None else self.prelu(x)


def conv_bn(inputs, width, kernel, stride=1, padding=None, groups=1, activation=True, bias=False, eps=1e-5):
    """ConvNorm that keeps the size at stride 1 unless `padding` says otherwise."""
    padding = kernel // 2 if padding is None else padding
    conv = nn.Conv2d(inputs, width, kernel, stride, padding, groups=groups, bias=bias)
    return ConvNorm(conv, eps, activation)


class XiaoccerBottleneck(nn.Module):
    """Expand, depthwise, project; the parts are numbered in one sequence."""

    def __init__(self, inputs, width, expanded, stride, residual, eps):
        super().__init__()
        self.residual = residual
        self.conv = Sequential(
            nn.Conv2d(inputs, expanded, 1, bias=False), BatchNorm2d(expanded, eps), PReLU(expanded),
            nn.Conv2d(expanded, expanded, 3, stride, 1, groups=expanded, bias=False),
            BatchNorm2d(expanded, eps), PReLU(expanded),
            nn.Conv2d(expanded, width, 1, bias=False), BatchNorm2d(width, eps))

    def forward(self, x):
        return x + self.conv(x) if self.residual else self.conv(x)


def conv_bn_relu6(inputs, width, kernel, stride=1, groups=1):
    """Convolution without bias, batch norm, ReLU6."""
    return Sequential(nn.Conv2d(inputs, width, kernel, stride, kernel // 2, groups=groups, bias=False),
                      BatchNorm2d(width), nn.ReLU6())


class InvertedResidual(nn.Module):
    """foamliu's bottleneck: expand and depthwise with ReLU6, linear projection."""

    def __init__(self, inputs, width, expanded, stride, residual):
        super().__init__()
        self.residual = residual
        self.conv = Sequential(conv_bn_relu6(inputs, expanded, 1),
                               conv_bn_relu6(expanded, expanded, 3, stride, groups=expanded),
                               nn.Conv2d(expanded, width, 1, bias=False), BatchNorm2d(width))

    def forward(self, x):
        return x + self.conv(x) if self.residual else self.conv(x)


class SeparableConv(nn.Module):
    """Depthwise 3x3 and pointwise convolution, each with batch norm and ReLU."""

    def __init__(self, width):
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
        self.pointwise = nn.Conv2d(width, width, 1, bias=False)
        self.bn1 = BatchNorm2d(width)
        self.bn2 = BatchNorm2d(width)

    def forward(self, x):
        x = F.relu(conv_norm(self.depthwise, self.bn1, x))
        return F.relu(conv_norm(self.pointwise, self.bn2, x))


class GlobalDepthwise(nn.Module):
    """Depthwise convolution over the whole 7x7 map, then batch norm."""

    def __init__(self, width):
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, groups=width, bias=False)
        self.bn = BatchNorm2d(width)

    def forward(self, x):
        return conv_norm(self.depthwise, self.bn, x)


class EvolveTrunk(nn.Module):
    """What the two layouts of face.evoLVe share: images (B, 3, 112, 112) to maps (B, 512, 7, 7)."""

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
