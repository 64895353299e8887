"""dlib's face recognition network: a ResNet of 29 layers with its batch norms folded into scales and shifts.

King, "High quality face recognition with deep metric learning", blog.dlib.net, 2017, after He et al., "Deep
residual learning", CVPR 2016: half as many filters and fewer layers than ResNet-34. It sees chips of 150
pixels, which are made of the 112 crop here. Embeddings were trained to be compared by distance; their cosines
crowd between .85 and 1.
"""
import torch
from torch import nn
from torch.nn import functional as F

# channels and stride of each block
BLOCKS = (*[(32, 1)] * 3, (64, 2), *[(64, 1)] * 3, (128, 2), *[(128, 1)] * 2, (256, 2), *[(256, 1)] * 2, (256, 2))
CHIP, CROP = 150, 112
# Centres of the eyes in the ArcFace template, and in dlib's chip, whose padding of a quarter leaves 100 pixels.
EYES = (38.2946 + 51.6963j, 73.5318 + 51.5014j)
CHIP_EYES = (100 * (.25 + .2273 + (.25 + .2214) * 1j), 100 * (.25 + .7528 + (.25 + .2212) * 1j))


class DlibResNet(nn.Module):
    """Crops (B, 3, 112, 112), prepared, to embeddings (B, 128): cuts the chips and gives them to `embed`."""

    def __init__(self):
        super().__init__()
        self.stem, self.stem_affine = nn.Conv2d(3, 32, 7, stride=2), Affine(32)
        before = (32, *(channels for channels, _ in BLOCKS))
        self.blocks = nn.Sequential(*(Block(width, *block) for width, block in zip(before, BLOCKS)))
        self.feature = nn.Linear(256, 128, bias=False)
        self.register_buffer("grid", chip_grid(), persistent=False)

    def forward(self, crops):
        return self.embed(self.chips(crops))

    def chips(self, crops):
        """Chips (B, 3, 150, 150) of crops, bilinear; what lies beyond a crop repeats its border."""
        grid = self.grid.to(crops.dtype).expand(len(crops), -1, -1, -1)
        return F.grid_sample(crops, grid, padding_mode="border", align_corners=True)

    def embed(self, chips):
        """Embeddings (B, 128) of prepared chips (B, 3, 150, 150)."""
        maps = F.max_pool2d(F.relu(self.stem_affine(self.stem(chips))), 3, 2)
        return self.feature(self.blocks(maps).mean(dim=(2, 3)))


class Block(nn.Module):
    """Two convolutions beside the input, which is averaged by 2 x 2 where the block halves the maps.

    Maps and channels that one side lacks count as zeros, at the end.
    """

    def __init__(self, before: int, channels: int, stride: int):
        super().__init__()
        self.stride = stride
        self.conv1 = nn.Conv2d(before, channels, 3, stride, padding=1 if stride == 1 else 0)
        self.affine1 = Affine(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.affine2 = Affine(channels)

    def forward(self, x):
        new = self.affine2(self.conv2(F.relu(self.affine1(self.conv1(x)))))
        old = F.avg_pool2d(x, 2) if self.stride == 2 else x
        size = [max(a, b) for a, b in zip(new.shape[1:], old.shape[1:])]
        return F.relu(pad_end(new, size) + pad_end(old, size))


class Affine(nn.Module):
    """A folded batch norm: maps (B, C, H, W) times a scale and plus a shift of each channel."""

    def __init__(self, width: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, maps):
        return torch.addcmul(self.bias[:, None, None], maps, self.weight[:, None, None])


def pad_end(maps: torch.Tensor, size: list[int]) -> torch.Tensor:
    """Maps (B, C, H, W) with zeros behind them, up to `size` (C, H, W)."""
    lacking = [want - have for want, have in zip(size, maps.shape[1:])]
    return F.pad(maps, (0, lacking[2], 0, lacking[1], 0, lacking[0])) if any(lacking) else maps


LAYERS = (nn.Conv2d, Affine, nn.Linear)


def chip_grid() -> torch.Tensor:
    """Where in the crop each pixel of the chip lies, (1, 150, 150, 2) in the units of `grid_sample`.

    The similarity that takes the template's eyes to the chip's, with points as complex numbers.
    """
    factor = (EYES[1] - EYES[0]) / (CHIP_EYES[1] - CHIP_EYES[0])
    y, x = torch.meshgrid(torch.arange(CHIP), torch.arange(CHIP), indexing="ij")
    place = factor * (torch.complex(x.double(), y.double()) - CHIP_EYES[0]) + EYES[0]
    return (torch.view_as_real(place) * 2 / (CROP - 1) - 1).float()[None]


def from_dlib(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """DlibResNet's state dict of the file's tensors, which stand in forward order, weights with biases in
    one.

    {} for names that are not of `weights.formats.dlib`. Where number or sizes are others than this network's,
    the names stay as they are, for the loader to report.
    """
    if not tensors or not all(name.startswith("dlib.") for name in tensors):
        return {}
    with torch.device("meta"):
        network = DlibResNet()
    layers = [(name, layer) for name, layer in network.named_modules() if isinstance(layer, LAYERS)]
    wanted = [[(f"{name}.{key}", value.shape) for key, value in layer.named_parameters()]
              for name, layer in layers]
    if [sum(shape.numel() for _, shape in keys) for keys in wanted] != [t.numel() for t in tensors.values()]:
        return tensors
    state = {}
    for keys, values in zip(wanted, tensors.values()):
        parts = values.flatten().split([shape.numel() for _, shape in keys])
        state |= {key: part.reshape(shape) for (key, shape), part in zip(keys, parts)}
    # the only matrix is stored input by output
    return state | {"feature.weight": state["feature.weight"].reshape(256, 128).T.contiguous()}
