"""The IR networks of CurricularFace and AdaFace.

Huang et al., "CurricularFace", CVPR 2020; Kim, Jain and Liu, "AdaFace", CVPR 2022. Close relatives of the
IResNet with keys of their own: a shortcut has weights only where the width changes, and the last batch norm
has none at all. AdaFace's blocks have one batch norm more.
"""
from torch import nn

from fiqa_core.recognisers.iresnet import DEPTHS
from fiqa_core.recognisers.layers import BatchNorm2d, PReLU


class IR(nn.Module):
    """What both have in common: images (B, 3, size, size), already normalised, to maps and raw embeddings.

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
        self.input_layer = nn.Sequential(nn.Conv2d(3, widths[0], 3, stem_stride, padding=1, bias=False),
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
            body.append(Block(inputs, width, 2, self.middle_norm))
            body += [Block(width, width, 1, self.middle_norm) for _ in range(count - 1)]
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


class Block(nn.Module):
    """Residual block without an activation after the sum."""

    def __init__(self, inputs, width, stride, middle_norm):
        super().__init__()
        self.res_layer = nn.Sequential(
            BatchNorm2d(inputs), nn.Conv2d(inputs, width, 3, padding=1, bias=False),
            *([BatchNorm2d(width)] if middle_norm else []), PReLU(width),
            nn.Conv2d(width, width, 3, stride, padding=1, bias=False), BatchNorm2d(width))
        if inputs == width:
            self.shortcut_layer = Subsample(stride)
        else:
            self.shortcut_layer = nn.Sequential(nn.Conv2d(inputs, width, 1, stride, bias=False),
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
