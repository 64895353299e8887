"""IResNet, the backbone of ArcFace, CosFace, ElasticFace and MagFace, and the IR networks of two others.

IResNet: Deng et al., "ArcFace", CVPR 2019, in the layout of the InsightFace releases: pre-activation blocks
(BN, conv, BN, PReLU, conv, BN), every stage starts with stride 2, and the embedding is a linear layer
on the flattened last map followed by a batch norm.

IR: Huang et al., "CurricularFace", CVPR 2020; Kim, Jain and Liu, "AdaFace", CVPR 2022. Close relatives with
keys of their own: a shortcut has weights only where the width changes, and the last batch norm has none at
all. AdaFace's blocks have one batch norm more.
"""
import re

import torch
from torch import nn

from fiqa_core.base.errors import FiqaError
from fiqa_core.recognisers.layers import BatchNorm2d, PReLU, Sequential, conv_norm

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 14, 3), 100: (3, 13, 30, 3)}


class IResNet(nn.Module):
    """Images (B, 3, size, size), already normalised, to raw embeddings (B, embedding).

    blocks    blocks of each stage; DEPTHS holds those of the released networks
    widths    channels of each stage; the stem has those of the first
    size      side of the input in pixels
    embedding size of the embedding
    dropout   rate before the embedding layer; drop_channels drops whole maps instead of single values
    eps, momentum   of every batch norm (MagFace: 2e-5 and 0.9)
    train_scale     whether the scale of the last batch norm is trained (MagFace) or stays 1
    stem_stride     of the first convolution: 1 in the released networks, 2 makes small ones four times faster
    """

    def __init__(self, blocks=DEPTHS[100], widths=(64, 128, 256, 512), size=112, embedding=512, dropout=0.0,
                 drop_channels=False, eps=1e-5, momentum=0.1, train_scale=False, stem_stride=1):
        super().__init__()
        if stem_stride == 1 and widths[0] < 16:
            raise FiqaError(f"IResNet with {widths[0]} channels in a stem of stride 1: training it in the "
                            "channels-last layout crashes torch 2.13 on the CPU",
                            "use 16 channels or more, or stem_stride: 2")
        norm = {"eps": eps, "momentum": momentum}
        self.conv1 = nn.Conv2d(3, widths[0], 3, stem_stride, padding=1, bias=False)
        self.bn1 = BatchNorm2d(widths[0], **norm)
        self.prelu = PReLU(widths[0])
        inputs, side, self.stages = widths[0], -(-size // stem_stride), []
        for number, (count, width) in enumerate(zip(blocks, widths), start=1):
            stage = [Block(inputs, width, 2, norm)] + [Block(width, width, 1, norm) for _ in range(count - 1)]
            self.stages.append(f"layer{number}")
            self.add_module(self.stages[-1], nn.Sequential(*stage))
            inputs, side = width, (side + 1) // 2
        self.bn2 = BatchNorm2d(inputs, **norm)
        self.dropout = nn.Dropout2d(dropout) if drop_channels else nn.Dropout(dropout)
        self.fc = nn.Linear(inputs * side * side, embedding)
        self.features = nn.BatchNorm1d(embedding, **norm)
        self.features.weight.requires_grad = train_scale
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, images):
        x = self.prelu(conv_norm(self.conv1, self.bn1, images))
        for stage in self.stages:
            x = self.get_submodule(stage)(x)
        x = self.dropout(self.bn2(x))
        return self.features(self.fc(x.flatten(1)))


class Block(nn.Module):
    """Residual block; its shortcut is a strided 1x1 convolution where a stage starts, else the identity."""

    def __init__(self, inputs, width, stride, norm):
        super().__init__()
        self.bn1 = BatchNorm2d(inputs, **norm)
        self.conv1 = nn.Conv2d(inputs, width, 3, padding=1, bias=False)
        self.bn2 = BatchNorm2d(width, **norm)
        self.prelu = PReLU(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn3 = BatchNorm2d(width, **norm)
        self.downsample = None
        if stride > 1:
            self.downsample = Sequential(nn.Conv2d(inputs, width, 1, stride, bias=False),
                                         BatchNorm2d(width, **norm))

    def forward(self, x):
        branch = self.prelu(conv_norm(self.conv1, self.bn2, self.bn1(x)))
        branch = conv_norm(self.conv2, self.bn3, branch)
        return branch + (x if self.downsample is None else self.downsample(x))


class IR(nn.Module):
    """What CurricularFace and AdaFace share: prepared images (B, 3, size, size) to maps and raw embeddings.

    blocks       blocks of each stage, whose first has stride 2; "IR-101" has those of depth 100
    widths       channels of each stage; the stem has those of the first
    size         side of the input in pixels
    embedding    size of the embedding
    dropout      rate before the embedding layer
    stem_stride  of the first convolution: 1 in the released networks, 2 makes small ones four times faster
    middle_norm  whether a batch norm stands between a block's first convolution and its PReLU (AdaFace)
    """

    middle_norm = False

    def __init__(self, blocks=DEPTHS[100], widths=(64, 128, 256, 512), size=112, embedding=512, dropout=0.4,
                 stem_stride=1):
        super().__init__()
        self.input_layer = Sequential(nn.Conv2d(3, widths[0], 3, stem_stride, padding=1, bias=False),
                                      BatchNorm2d(widths[0]), PReLU(widths[0]))
        side = -(-size // stem_stride)
        for _ in blocks:
            side = (side + 1) // 2
        last = widths[len(blocks) - 1]
        self.output_layer = nn.Sequential(BatchNorm2d(last), nn.Dropout(dropout), nn.Flatten(),
                                          nn.Linear(last * side * side, embedding),
                                          nn.BatchNorm1d(embedding, affine=False))
        inputs, body = widths[0], []
        for count, width in zip(blocks, widths):
            body.append(IRBlock(inputs, width, 2, self.middle_norm))
            body += [IRBlock(width, width, 1, self.middle_norm) for _ in range(count - 1)]
            inputs = width
        self.body = nn.Sequential(*body)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def maps(self, images):
        """The last stage's output (B, C, h, w), before the output layer."""
        return self.body(self.input_layer(images))


class CurricularFaceIR(IR):
    """Returns (raw embedding (B, embedding), the last maps flattened (B, C * h * w))."""

    def forward(self, images):
        maps = self.maps(images)
        return self.output_layer(maps), maps.flatten(1)


class AdaFaceIR(IR):
    """Returns (unit embedding (B, embedding), its norm before (B, 1)); the norm tells an image's quality."""

    middle_norm = True

    def forward(self, images):
        raw = self.output_layer(self.maps(images))
        norm = raw.norm(dim=1, keepdim=True)
        return raw / norm, norm


class IRBlock(nn.Module):
    """Residual block without an activation after the sum."""

    def __init__(self, inputs, width, stride, middle_norm):
        super().__init__()
        self.res_layer = Sequential(
            BatchNorm2d(inputs), nn.Conv2d(inputs, width, 3, padding=1, bias=False),
            *([BatchNorm2d(width)] if middle_norm else []), PReLU(width),
            nn.Conv2d(width, width, 3, stride, padding=1, bias=False), BatchNorm2d(width))
        if inputs == width:
            self.shortcut_layer = Subsample(stride)
        else:
            self.shortcut_layer = Sequential(nn.Conv2d(inputs, width, 1, stride, bias=False),
                                             BatchNorm2d(width))

    def forward(self, x):
        return self.res_layer(x) + self.shortcut_layer(x)


class Subsample(nn.Module):
    """Every stride-th row and column."""

    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        return x[:, :, ::self.stride, ::self.stride]


# MXNet's name of an IResNet's layer -> ours; the block of stage s, unit u is layer{s}.{u - 1}
LAYERS = {"conv0": "conv1", "bn0": "bn1", "relu0": "prelu", "bn1": "bn2", "pre_fc1": "fc", "fc1": "features"}
INSIDE_BLOCK = {"relu1": "prelu", "conv1sc": "downsample.0", "sc": "downsample.1"}
LEAVES = {"weight": "weight", "gamma": "weight", "bias": "bias", "beta": "bias",
          "moving_mean": "running_mean", "moving_var": "running_var"}
MXNET = re.compile(rf"(?:arg|aux):(?:stage(\d+)_unit(\d+)_)?(\w+?)_({'|'.join(LEAVES)})")


def from_mxnet(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """IResNet's state dict of insightface's LResNet-E-IR parameters; {} for names that are not MXNet's.

    The embedding's batch norm has its scale fixed at 1, whatever the file says. Names that belong to no layer
    are kept, for the loader to report. These networks have eps 2e-5 in batch norms and see (x - 127.5) / 128.
    """
    if not any(name.startswith("arg:") for name in tensors):
        return {}
    state = {_key(name): tensor for name, tensor in tensors.items()}
    return state | {key: torch.ones_like(state[key]) for key in ("features.weight",) if key in state}


def _key(name: str) -> str:
    found = MXNET.fullmatch(name)
    if found is None:
        return name
    stage, unit, layer, leaf = found.groups()
    if stage is None:
        return f"{LAYERS.get(layer, layer)}.{LEAVES[leaf]}"
    return f"layer{stage}.{int(unit) - 1}.{INSIDE_BLOCK.get(layer, layer)}.{LEAVES[leaf]}"
