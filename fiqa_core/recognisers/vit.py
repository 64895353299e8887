"""Vision transformers of face recognition: the insightface ViT and TransFace.

Dan et al., "TransFace", ICCV 2023. Both read the image as square patches, without a class token, and
flatten all tokens into the embedding head. TransFace adds a squeeze-and-excitation gate over patches,
whose spread of token values weights the training samples (EHSM, heads.TransFace).
"""
import torch
from torch import nn
from torch.nn import functional as F


class ViT(nn.Module):
    """Images (B, 3, size, size), already normalised, to embeddings (B, embedding).

    gate=True is TransFace and returns (embedding, softmax of the patch gates (B, tokens), standard
    deviation of each gated token (B, tokens)); gate=False is the insightface ViT and returns the embedding.
    Pixels beyond the last whole patch are not seen (112 = 12 * 9 + 4 in the released networks).
    drop_path is the stochastic depth of the last block, dropout acts before the embedding head.
    """

    def __init__(self, width=512, depth=12, heads=8, patch=9, size=112, embedding=512, gate=False,
                 drop_path=0.05, dropout=0.0):
        super().__init__()
        tokens = (size // patch) ** 2
        self.patch_embed = PatchEmbedding(patch, width)
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens, width))
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        rates = [drop_path * index / max(depth - 1, 1) for index in range(depth)]
        self.blocks = nn.ModuleList(Block(width, heads, rate) for rate in rates)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.feature = embedding_head(tokens * width, width, embedding)
        self.apply(initialise)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.normal_(self.mask_token, std=0.02)
        if gate:
            self.senet = nn.Sequential(nn.Linear(tokens * width, tokens, bias=False), nn.ReLU(),
                                       nn.Linear(tokens, tokens, bias=False), nn.Sigmoid())
        self.gate = gate

    def forward(self, images):
        x = self.patch_embed(images) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        if not self.gate:
            return self.feature(self.dropout(x.flatten(1)))
        gates = self.senet(x.flatten(1))
        x = x * gates[:, :, None]
        return self.feature(self.dropout(x.flatten(1))), gates.softmax(1), x.std(dim=2)


class PatchEmbedding(nn.Module):
    """Non-overlapping patches to tokens (B, rows * columns, width), row by row."""

    def __init__(self, patch, width):
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)

    def forward(self, images):
        return self.proj(images).flatten(2).transpose(1, 2)


class Block(nn.Module):
    """Pre-norm transformer block with ReLU6 in its two-layer perceptron."""

    def __init__(self, width, heads, drop_path):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.mlp = Perceptron(width, 4 * width, nn.ReLU6())
        self.drop_path = DropPath(drop_path)

    def forward(self, x):
        x = x + self.drop_path(self.attn(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class Attention(nn.Module):
    """Multi-head self-attention over all tokens; queries, keys and values without bias."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        query, key, value = self.qkv(x).view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        x = F.scaled_dot_product_attention(query, key, value)
        return self.proj(x.transpose(1, 2).reshape(batch, tokens, width))


class Perceptron(nn.Module):
    """Linear, activation, linear."""

    def __init__(self, width, hidden, activation):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.activation = activation
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x):
        return self.fc2(self.activation(self.fc1(x)))


class DropPath(nn.Module):
    """Stochastic depth: in training, a branch of a sample is dropped with probability `rate`."""

    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def forward(self, x):
        if not self.training or self.rate == 0:
            return x
        kept = torch.rand(len(x), *[1] * (x.dim() - 1), device=x.device) >= self.rate
        return x * kept / (1 - self.rate)


def embedding_head(inputs, hidden, embedding):
    """Linear, BN, linear, BN without biases in the linear layers; eps of both norms 2e-5."""
    return nn.Sequential(nn.Linear(inputs, hidden, bias=False), nn.BatchNorm1d(hidden, eps=2e-5),
                         nn.Linear(hidden, embedding, bias=False), nn.BatchNorm1d(embedding, eps=2e-5))


def initialise(module):
    """Linear weights from a truncated normal of deviation fan_in^-1/2, biases zero; residual branches 0.

    The released networks started from 0.02 everywhere, about fan_in^-1/2 at their widths. Small networks that
    train for a few epochs learn several times faster if every block starts as the identity.
    """
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=module.in_features ** -0.5)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    if isinstance(module, Perceptron):
        nn.init.zeros_(module.fc2.weight)
    if hasattr(module, "heads") and hasattr(module, "proj"):
        nn.init.zeros_(module.proj.weight)
