"""IResNet, the backbone of ArcFace, CosFace, ElasticFace and MagFace.

Deng et al., "ArcFace", CVPR 2019, in the layout of the InsightFace releases: pre-activation blocks
(BN, conv, BN, PReLU, conv, BN), every stage starts with stride 2, and the embedding is a linear layer
on the flattened last map followed by a batch norm.
"""
from torch import nn

from fiqa_core.errors import FiqaError
from fiqa_core.recognisers.layers import BatchNorm2d, PReLU

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
        x = self.prelu(self.bn1(self.conv1(images)))
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
            self.downsample = nn.Sequential(nn.Conv2d(inputs, width, 1, stride, bias=False),
                                            BatchNorm2d(width, **norm))

    def forward(self, x):
        branch = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        branch = self.bn3(self.conv2(branch))
        return branch + (x if self.downsample is None else self.downsample(x))
