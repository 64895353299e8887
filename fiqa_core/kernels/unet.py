"""The U-Net of DifFIQA (Babnik, Peer, Struc, IJCB 2023): it sees a noisy face and predicts the clean one.

The state-dict keys are those of the published `diff_pretrain.pt`, so that its weights load unchanged. Width,
number of levels and size of the attention are arguments: dim 128 is the published model, 8 the demo's.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn

GROUPS = 8                      # of every GroupNorm, hence dim must be a multiple of 8
EPS = 1e-5


class WeightStandardisedConv2d(nn.Conv2d):
    """A convolution whose filters are standardised before use (Qiao et al. 2019); stored weights stay raw.

    In eval mode the standardised filters are computed once and kept until the weights change.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._kept = None
        self._kept_for = None

    def _standardised(self) -> torch.Tensor:
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3), correction=0, keepdim=True)
        return (self.weight - mean) * torch.rsqrt(variance + EPS)

    def _filters(self) -> torch.Tensor:
        if self.training:
            self._kept = None
            return self._standardised()
        state = (self.weight._version, self.weight.data_ptr(), self.weight.device, self.weight.dtype)
        if self._kept is None or self._kept_for != state:
            with torch.no_grad():
                self._kept, self._kept_for = self._standardised(), state
        return self._kept

    def forward(self, x):
        return self._conv_forward(x, self._filters(), self.bias)


def _mix(weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """(O, C) times (B, C, N) -> (B, O, N); `weight @ x` would first transpose and copy x."""
    return torch.bmm(weight.expand(len(x), -1, -1), x)


class Pointwise(nn.Conv2d):
    """A 1x1 convolution, computed as a matrix product (on a CPU many times faster for few channels)."""

    def __init__(self, before: int, after: int, bias: bool = True):
        super().__init__(before, after, 1, bias=bias)

    def forward(self, x):
        out = _mix(self.weight.flatten(1), x.flatten(2)).unflatten(2, x.shape[2:])
        return out if self.bias is None else out + self.bias[:, None, None]


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of each pixel, with a scale and no bias."""

    def __init__(self, channels: int):
        super().__init__()
        self.g = nn.Parameter(torch.ones(1, channels, 1, 1))

    def forward(self, x):
        x = x.float() if x.dtype == torch.bfloat16 else x
        centred = x - x.mean(dim=1, keepdim=True)
        variance = centred.square().mean(dim=1, keepdim=True)
        return centred * torch.rsqrt(variance + EPS) * self.g


class Block(nn.Module):
    """Convolution, GroupNorm, optional scale and shift by the time step, SiLU."""

    def __init__(self, before: int, after: int):
        super().__init__()
        self.proj = WeightStandardisedConv2d(before, after, 3, padding=1)
        self.norm = nn.GroupNorm(GROUPS, after)

    def forward(self, x, scale_shift=None):
        x = self.norm(self.proj(x))
        if scale_shift is not None:
            scale, shift = scale_shift
            x = torch.addcmul(shift, x, scale + 1)
        return F.silu(x)


class ResnetBlock(nn.Module):
    """Two blocks, the first conditioned on time, and a residual connection."""

    def __init__(self, before: int, after: int, time_dim: int):
        super().__init__()
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(time_dim, 2 * after))
        self.block1 = Block(before, after)
        self.block2 = Block(after, after)
        self.res_conv = Pointwise(before, after) if before != after else nn.Identity()

    def forward(self, x, time):
        scale_shift = self.mlp(time)[:, :, None, None].chunk(2, dim=1)
        return self.block2(self.block1(x, scale_shift)) + self.res_conv(x)


def _heads(to_qkv: Pointwise, x: torch.Tensor, heads: int) -> list[torch.Tensor]:
    """x (B, C, H, W) -> q, k, v, each (B, heads, d, H*W)."""
    x = x.flatten(2)
    return [_mix(part, x).unflatten(1, (heads, -1)) for part in to_qkv.weight.flatten(1).chunk(3)]


class LinearAttention(nn.Module):
    """Attention whose cost is linear in the number of pixels N (Shen et al. 2018).

    Its output is W_out (v k^T) q with v = W_v x. Products with N columns cost most, so they are taken together with
    the small ones last: W_out (W_v (x k^T)) q, and neither v nor the heads' outputs are ever made.
    """

    def __init__(self, channels: int, heads: int, head_dim: int):
        super().__init__()
        self.heads = heads
        self.scale = head_dim ** -0.5
        self.to_qkv = Pointwise(channels, 3 * heads * head_dim, bias=False)
        self.to_out = nn.Sequential(Pointwise(heads * head_dim, channels), ChannelNorm(channels))

    def forward(self, x):
        size, heads, x = x.shape[2:], self.heads, x.flatten(2)                  # x (B, C, N)
        to_q, to_k, to_v = self.to_qkv.weight.flatten(1).chunk(3)               # (heads d, C) each
        out, norm = self.to_out
        q = _mix(to_q, x).unflatten(1, (heads, -1)).softmax(dim=2)              # over the channels of a head
        k = _mix(to_k, x).softmax(dim=2)                                        # over positions
        seen = (k @ x.transpose(1, 2)).unflatten(1, (heads, -1))                # x k^T: (B, heads, d of k, C)
        context = to_v.unflatten(0, (heads, -1)) @ seen.transpose(2, 3)         # (B, heads, d of v, d of k)
        mixed = out.weight.flatten(1).unflatten(1, (heads, -1)).transpose(0, 1) @ context       # (B, heads, C, d)
        mixed = mixed.transpose(1, 2).flatten(2) * (self.scale / x.shape[2])
        return norm(torch.baddbmm(out.bias[:, None], mixed, q.flatten(1, 2)).unflatten(2, size))


class Attention(nn.Module):
    """Full attention with q and k of unit length along the POSITION axis, as the published weights expect."""

    def __init__(self, channels: int, heads: int, head_dim: int, scale: float = 10.0):
        super().__init__()
        self.heads = heads
        self.scale = scale
        self.to_qkv = Pointwise(channels, 3 * heads * head_dim, bias=False)
        self.to_out = Pointwise(heads * head_dim, channels)

    def forward(self, x):
        q, k, v = _heads(self.to_qkv, x, self.heads)
        q, k = F.normalize(q, dim=3), F.normalize(k, dim=3)
        weights = (self.scale * q.transpose(2, 3) @ k).softmax(dim=3)           # (B, heads, i, j)
        out = v @ weights.transpose(2, 3)
        return self.to_out(out.flatten(1, 2).unflatten(2, x.shape[2:]))


class Normed(nn.Module):
    """ChannelNorm before a layer."""

    def __init__(self, channels: int, layer: nn.Module):
        super().__init__()
        self.fn = layer
        self.norm = ChannelNorm(channels)

    def forward(self, x):
        return self.fn(self.norm(x))


class Residual(nn.Module):
    """x + layer(x)."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.fn = layer

    def forward(self, x):
        return x + self.fn(x)


class TimeSinusoid(nn.Module):
    """Integer time steps (B,) -> (B, dim): sines, then cosines, of dim/2 geometrically spaced frequencies."""

    def __init__(self, dim: int):
        super().__init__()
        self.dim = dim

    def forward(self, time):
        half = self.dim // 2
        frequency = torch.exp(torch.arange(half, device=time.device) * (-math.log(10000) / (half - 1)))
        angle = time[:, None] * frequency
        return torch.cat((angle.sin(), angle.cos()), dim=1)


def _down(before: int, after: int, last: bool) -> nn.Module:
    return nn.Conv2d(before, after, 3, padding=1) if last else nn.Conv2d(before, after, 4, 2, 1)


def _up(before: int, after: int, last: bool) -> nn.Module:
    conv = nn.Conv2d(before, after, 3, padding=1)
    return conv if last else nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), conv)


class UNet(nn.Module):
    """`unet(x (B, 3, S, S) float32, time (B,) int64) -> (B, 3, S, S)`; S a multiple of 2**(levels - 1).

    dim: width of the first level, a multiple of 8; level i is dim * multipliers[i] wide.
    heads, head_dim: attention heads and channels of each.
    """

    def __init__(self, dim: int = 128, multipliers: tuple[int, ...] = (1, 2, 4, 8), channels: int = 3,
                 heads: int = 4, head_dim: int = 32):
        super().__init__()
        time_dim = 4 * dim
        widths = [dim, *(dim * m for m in multipliers)]
        pairs = list(zip(widths[:-1], widths[1:]))
        last = len(pairs) - 1
        self.init_conv = nn.Conv2d(channels, dim, 7, padding=3)
        self.time_mlp = nn.Sequential(TimeSinusoid(dim), nn.Linear(dim, time_dim), nn.GELU(),
                                      nn.Linear(time_dim, time_dim))

        def block(before, after):
            return ResnetBlock(before, after, time_dim)

        def attention(kind, width):
            return Residual(Normed(width, kind(width, heads, head_dim)))

        self.downs = nn.ModuleList(nn.ModuleList([block(a, a), block(a, a), attention(LinearAttention, a),
                                                  _down(a, b, i == last)]) for i, (a, b) in enumerate(pairs))
        self.mid_block1 = block(widths[-1], widths[-1])
        self.mid_attn = attention(Attention, widths[-1])
        self.mid_block2 = block(widths[-1], widths[-1])
        self.ups = nn.ModuleList(nn.ModuleList([block(b + a, b), block(b + a, b),
            attention(LinearAttention, b), _up(b, a, i == last)]) for i, (a, b) in enumerate(reversed(pairs)))
        self.final_res_block = block(2 * dim, dim)
        self.final_conv = Pointwise(dim, channels)

    def forward(self, x, time):
        x = stem = self.init_conv(x)
        time = self.time_mlp(time)
        skips = []
        for first, second, attention, down in self.downs:
            x = first(x, time)
            skips.append(x)
            x = attention(second(x, time))
            skips.append(x)
            x = down(x)
        x = self.mid_block2(self.mid_attn(self.mid_block1(x, time)), time)
        for first, second, attention, up in self.ups:
            x = first(torch.cat((x, skips.pop()), dim=1), time)
            x = second(torch.cat((x, skips.pop()), dim=1), time)
            x = up(attention(x))
        return self.final_conv(self.final_res_block(torch.cat((x, stem), dim=1), time))
