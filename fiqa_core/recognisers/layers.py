"""Layers with the values of torch's own and a cheaper backward pass on the CPU.

Scoring methods differentiate recognisers with respect to their input a million times in a demo run, and
these layers took half of that time.
"""
import torch
from torch import nn
from torch.nn import functional as F


class PReLU(nn.PReLU):
    """torch.nn.PReLU with one slope per channel, for maps (B, C, H, W)."""

    def forward(self, x):
        return _Slope.apply(x, self.weight)


class _Slope(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, slope):
        ctx.save_for_backward(x, slope)
        return F.prelu(x, slope)

    @staticmethod
    def backward(ctx, grad):
        x, slope = ctx.saved_tensors
        positive = torch.ops.aten.threshold_backward(grad, x, 0)
        grad_slope = None
        if ctx.needs_input_grad[1]:
            grad_slope = ((grad - positive) * x).sum((0, 2, 3))
        return torch.lerp(positive, grad, slope.view(1, -1, 1, 1)), grad_slope


class BatchNorm2d(nn.BatchNorm2d):
    """torch.nn.BatchNorm2d; frozen, its backward pass is one multiplication."""

    def forward(self, x):
        if self.training or self.weight.requires_grad or self.bias.requires_grad:
            return super().forward(x)
        return _FrozenNorm.apply(x, self.running_mean, self.running_var, self.weight, self.bias, self.eps)


class _FrozenNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, mean, variance, weight, bias, eps):
        ctx.save_for_backward(weight / (variance + eps).sqrt())
        return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps)

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.saved_tensors[0].view(1, -1, 1, 1), None, None, None, None, None


def block_mean(images, factor):
    """Means of factor x factor pixels of images (B, C, H, W); H and W are multiples of factor."""
    return _BlockMean.apply(images, factor)


class _BlockMean(torch.autograd.Function):
    @staticmethod
    def forward(ctx, images, factor):
        ctx.factor = factor
        rows = sum(images[..., offset::factor, :] for offset in range(factor))
        return sum(rows[..., offset::factor] for offset in range(factor)) / factor**2

    @staticmethod
    def backward(ctx, grad):
        # From a network in channels-last layout the enlargement would take four times as long.
        grad = (grad / ctx.factor**2).contiguous()
        return F.interpolate(grad, scale_factor=ctx.factor, mode="nearest"), None
