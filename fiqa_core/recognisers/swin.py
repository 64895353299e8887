"""SwinFace: a Swin transformer, 42 analyses of the face and the recogniser's embedding.

Qin et al., "SwinFace", IEEE TCSVT 2023. Windows of 7x7 tokens attend to themselves; every second block shifts
the windows by half, and a mask keeps apart tokens that only the wrap-around made neighbours. The analyses
share eleven branches: a branch picks its features from all levels of the backbone (fam), maps them to a
task's subspace (tss) and feeds one linear layer for each of its outputs (om). Recognition needs the backbone
alone, which is `Swin`.
"""
import torch
from torch import nn
from torch.nn import functional as F

from fiqa_core.base.errors import FiqaError
from fiqa_core.recognisers.vit import DropPath, Perceptron, embedding_head, initialise


class Swin(nn.Module):
    """Images (B, 3, size, size), already normalised, to (local, global, embedding).

    local      (B, C, r, r): outputs of all stages but the last after merging, averaged to r x r
    global     (B, width of the last stage, r, r): the last stage before its norm
    embedding  (B, embedding) raw
    depths, heads: blocks and heads of each stage; the width doubles from stage to stage.
    """

    def __init__(self, width=96, depths=(2, 2, 6, 2), heads=(3, 6, 12, 24), patch=2, window=7, size=112,
                 embedding=512, drop_path=0.1, dropout=0.0):
        super().__init__()
        sides = [size // patch >> stage for stage in range(len(depths))]
        if any(side % min(window, side) for side in sides) or sides[0] != sides[-1] << len(depths) - 1:
            raise FiqaError(f"Swin: stages of {sides} tokens a side do not divide into windows of {window}",
                            "choose size / patch = window * 2^k, with at most k + 1 stages")
        self.patch_embed = PatchEmbedding(patch, width)
        rates = (drop_path * index / max(sum(depths) - 1, 1) for index in range(sum(depths)))
        self.layers = nn.ModuleList()
        for stage, (depth, side) in enumerate(zip(depths, sides)):
            self.layers.append(Stage(width << stage, heads[stage], side, min(window, side),
                                     [next(rates) for _ in range(depth)], merge=stage < len(depths) - 1))
        last = width << len(depths) - 1
        self.norm = nn.LayerNorm(last)
        self.dropout = nn.Dropout(dropout)
        self.feature = embedding_head(last, last, embedding)
        # The released network carries this layer without using it; strict loading needs its keys.
        self.head = nn.Linear(last, embedding)
        self.head.requires_grad_(False)
        self.side = sides[-1]
        self.apply(initialise)

    def level_widths(self) -> list[int]:
        """Channels of each level in (local, global): the merged stages', then the last stage's."""
        merged = [stage.downsample.reduction.out_features for stage in self.layers[:-1]]
        return [*merged, self.norm.weight.numel()]

    def forward(self, images):
        x = self.patch_embed(images)
        local = []
        for stage in self.layers:
            x = stage(x)
            if stage.downsample is not None:
                local.append(F.adaptive_avg_pool2d(as_map(x), self.side))
        pooled = self.norm(x).mean(dim=1)
        # With a single stage nothing was merged and there are no local features.
        local = torch.cat(local, dim=1) if local else x.new_zeros(len(x), 0, self.side, self.side)
        return local, as_map(x), self.feature(self.dropout(pooled))


def as_map(tokens):
    """Tokens (B, side * side, C) as a map (B, C, side, side)."""
    side = round(tokens.shape[1] ** 0.5)
    return tokens.transpose(1, 2).unflatten(2, (side, side))


class PatchEmbedding(nn.Module):
    """Non-overlapping patches to normalised tokens (B, rows * columns, width), row by row."""

    def __init__(self, patch, width):
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)
        self.norm = nn.LayerNorm(width)

    def forward(self, images):
        return self.norm(self.proj(images).flatten(2).transpose(1, 2))


class Stage(nn.Module):
    """Blocks of one resolution, then the merging of 2x2 tokens where a further stage follows."""

    def __init__(self, width, heads, side, window, rates, merge):
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(width, heads, side, window, window // 2 if index % 2 and side > window else 0, rate)
            for index, rate in enumerate(rates))
        self.downsample = Merging(width, side) if merge else None

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x if self.downsample is None else self.downsample(x)


class Merging(nn.Module):
    """2x2 neighbours to one token of twice the width; subgrid order (0,0), (1,0), (0,1), (1,1)."""

    def __init__(self, width, side):
        super().__init__()
        self.side = side
        self.norm = nn.LayerNorm(4 * width)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x):
        grid = x.unflatten(1, (self.side // 2, 2, self.side // 2, 2))
        return self.reduction(self.norm(grid.permute(0, 1, 3, 4, 2, 5).flatten(3).flatten(1, 2)))


class Block(nn.Module):
    """Pre-norm transformer block whose attention stays inside (shifted) windows."""

    def __init__(self, width, heads, side, window, shift, drop_path):
        super().__init__()
        self.side, self.window, self.shift = side, window, shift
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, heads, window)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Perceptron(width, 4 * width, nn.GELU())
        self.drop_path = DropPath(drop_path)
        self.register_buffer("attn_mask", shift_mask(side, window, shift) if shift else None)

    def forward(self, x):
        grid = self.norm1(x).unflatten(1, (self.side, self.side))
        if self.shift:
            grid = grid.roll((-self.shift, -self.shift), (1, 2))
        grid = from_windows(self.attn(to_windows(grid, self.window), self.attn_mask), self.side, self.window)
        if self.shift:
            grid = grid.roll((self.shift, self.shift), (1, 2))
        x = x + self.drop_path(grid.flatten(1, 2))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class WindowAttention(nn.Module):
    """Self-attention inside windows with a learned bias for each relative position."""

    def __init__(self, width, heads, window):
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.register_buffer("relative_position_index", relative_positions(window))
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def forward(self, x, mask):
        """x (B * windows, tokens, width); mask (windows, tokens, tokens) added to the logits, or None."""
        count, tokens, width = x.shape
        query, key, value = self.qkv(x).view(count, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)[None]
        if mask is not None:
            bias = (bias + mask[:, None]).repeat(count // len(mask), 1, 1, 1)
        x = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return self.proj(x.transpose(1, 2).reshape(count, tokens, width))


def relative_positions(window):
    """(window^2, window^2) int64: row of the bias table for query i and key j."""
    rows, columns = (axis.flatten() for axis in torch.meshgrid(*2 * [torch.arange(window)], indexing="ij"))
    down = rows[:, None] - rows + window - 1
    right = columns[:, None] - columns + window - 1
    return down * (2 * window - 1) + right


def shift_mask(side, window, shift):
    """(windows, window^2, window^2): -100 between tokens that are neighbours only through the wrap-around."""
    band = torch.zeros(side, dtype=torch.int64)
    band[side - window:side - shift] = 1
    band[side - shift:] = 2
    region = to_windows((3 * band[:, None] + band)[None, :, :, None], window).squeeze(2)
    return torch.where(region[:, :, None] == region[:, None], 0.0, -100.0)


def to_windows(grid, window):
    """(B, side, side, C) to (B * windows, window^2, C), windows row by row."""
    parts = grid.unflatten(2, (-1, window)).unflatten(1, (-1, window))
    return parts.permute(0, 1, 3, 2, 4, 5).reshape(-1, window * window, grid.shape[-1])


def from_windows(windows, side, window):
    """Inverse of to_windows."""
    count = side // window
    parts = windows.reshape(-1, count, count, window, window, windows.shape[-1])
    return parts.permute(0, 1, 3, 2, 4, 5).reshape(-1, side, side, windows.shape[-1])


# Outputs of each branch in the order of their weights. All are two-way logits but SIZES.
BRANCHES = (
    ("Gender",),
    ("Age", "Young"),
    ("Expression", "Smiling"),
    ("Attractive", "Blurry", "Chubby", "Heavy Makeup", "Oval Face", "Pale Skin"),
    ("Bald", "Bangs", "Black Hair", "Blond Hair", "Brown Hair", "Gray Hair", "Receding Hairline",
     "Straight Hair", "Wavy Hair", "Wearing Hat"),
    ("Arched Eyebrows", "Bags Under Eyes", "Bushy Eyebrows", "Eyeglasses", "Narrow Eyes"),
    ("Big Nose", "Pointy Nose"),
    ("High Cheekbones", "Rosy Cheeks", "Wearing Earrings", "Sideburns"),
    ("Five O'Clock Shadow", "Big Lips", "Mouth Slightly Open", "Mustache", "Wearing Lipstick", "No Beard"),
    ("Double Chin", "Goatee"),
    ("Wearing Necklace", "Wearing Necktie"),
)
SIZES = {"Age": 1, "Expression": 7}
# The released code lists its results with these in front, then the remaining branches, then the last two.
FRONT = ("Age", "Attractive", "Blurry", "Chubby", "Heavy Makeup", "Gender", "Oval Face", "Pale Skin",
         "Smiling", "Young")
TASKS = (*FRONT, *(task for branch in BRANCHES[4:] for task in branch), "Expression")


class SwinFace(nn.Module):
    """Images (B, 3, size, size), already normalised, to a dict of 43 results, `TASKS` and "Recognition".

    "Age" (B, 1) in years, "Expression" (B, 7) logits, 40 attributes (B, 2) logits each, and "Recognition",
    the raw embedding (B, embedding).
    width      channels of a branch
    reduction  of the channel attention's hidden layer
    backbone   arguments of Swin
    """

    def __init__(self, width=512, reduction=16, **backbone):
        super().__init__()
        self.backbone = Swin(**backbone)
        levels = self.backbone.level_widths()
        self.fam = nn.ModuleDict({"nets": nn.ModuleList(FeatureAttention(levels, width, reduction)
                                                        for _ in BRANCHES)})
        self.tss = nn.ModuleDict({"nets": nn.ModuleList(Subspace(width) for _ in BRANCHES)})
        self.om = nn.ModuleDict({"output_fcs": nn.ModuleList(nn.Linear(width, SIZES.get(task, 2))
                                                             for branch in BRANCHES for task in branch)})

    def forward(self, images):
        local, overall, embedding = self.backbone(images)
        features = torch.cat((local, overall), dim=1)
        outputs, found = iter(self.om["output_fcs"]), {}
        for branch, attend, subspace in zip(BRANCHES, self.fam["nets"], self.tss["nets"]):
            shared = subspace(attend(features))
            found.update((task, next(outputs)(shared)) for task in branch)
        return {**{task: found[task] for task in TASKS}, "Recognition": embedding}


class FeatureAttention(nn.Module):
    """Maps (B, sum(levels), h, w) of all levels to a branch's features (B, width)."""

    def __init__(self, levels, width, reduction):
        super().__init__()
        self.conv = LevelConvolutions(levels, width)
        self.channel_attention = ChannelAttention(width, reduction)
        self.norm = nn.BatchNorm1d(width, eps=2e-5)

    def forward(self, maps):
        x = F.relu(self.channel_attention(self.conv(maps)))
        return self.norm(x.amax((2, 3)))


class LevelConvolutions(nn.Module):
    """A 3x3 convolution for each level, each with a share of `width` like its level's of all channels."""

    def __init__(self, levels, width):
        super().__init__()
        self.levels = list(levels)
        shares = [round(width * level / sum(levels)) for level in levels[:-1]]
        shares.append(width - sum(shares))
        self.convs = nn.ModuleList(nn.Conv2d(level, share, 3, padding=1, bias=False)
                                   for level, share in zip(levels, shares))

    def forward(self, maps):
        parts = maps.split(self.levels, dim=1)
        return torch.cat([conv(part) for conv, part in zip(self.convs, parts)], dim=1)


class ChannelAttention(nn.Module):
    """Weighs each channel by a sigmoid of all channels' means and maxima (CBAM, Woo et al. 2018)."""

    def __init__(self, width, reduction):
        super().__init__()
        self.mlp = nn.Sequential(nn.Flatten(), nn.Linear(width, width // reduction), nn.ReLU(),
                                 nn.Linear(width // reduction, width))

    def forward(self, x):
        logits = self.mlp(x.mean((2, 3))) + self.mlp(x.amax((2, 3)))
        return x * logits.sigmoid()[:, :, None, None]


class Subspace(nn.Module):
    """Two linear layers that a branch's outputs share."""

    def __init__(self, width, dropout=0.5):
        super().__init__()
        self.feature = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout),
                                     nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout))

    def forward(self, x):
        return self.feature(x)
