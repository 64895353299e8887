"""SwinFace as a whole: one Swin backbone, 42 analyses of the face and the recogniser's embedding.

Qin et al., "SwinFace", IEEE TCSVT 2023. The analyses share eleven branches: a branch picks its features from
all levels of the backbone (fam), maps them to a task's subspace (tss) and feeds one linear layer for each of
its outputs (om). Recognition needs the backbone alone, which is `swin.Swin`.
"""
import torch
from torch import nn
from torch.nn import functional as F

from fiqa_core.recognisers.swin import Swin

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
