"""Layers with the values of torch's own that cost less in a frozen network.

Scoring methods differentiate recognisers with respect to their input a million times in a demo run, and
these layers took half of that time.
"""
from collections.abc import Callable

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
        return F.prelu(x, slope.to(x.dtype))

    @staticmethod
    def backward(ctx, grad):
        x, slope = ctx.saved_tensors
        grad = grad.to(x.dtype)                                             # autocast may lower that of the output
        positive = torch.ops.aten.threshold_backward(grad, x, 0)            # a new tensor: written over below
        grad_slope = None
        if ctx.needs_input_grad[1]:
            grad_slope = ((grad - positive) * x).sum((0, 2, 3))
        return positive.lerp_(grad, slope.to(x.dtype).view(1, -1, 1, 1)), grad_slope


class BatchNorm2d(nn.BatchNorm2d):
    """torch.nn.BatchNorm2d. Frozen, its backward pass is one multiplication, and `conv_norm` does without it."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._kept = self._kept_for = None

    def forward(self, x):
        if not self.frozen():
            return super().forward(x)
        scale = self.kept(self.scale)
        return _FrozenNorm.apply(x, self.running_mean, self.running_var, self.weight, self.bias, self.eps, scale)

    def frozen(self) -> bool:
        """Whether it only scales and shifts channels, by numbers that nobody trains."""
        return not (self.training or self.weight.requires_grad or self.bias.requires_grad)

    def scale(self) -> torch.Tensor:
        """What each channel is multiplied by, (C,)."""
        return self.weight / (self.running_var + self.eps).sqrt()

    def folded(self, conv: nn.Conv2d) -> tuple[torch.Tensor, torch.Tensor]:
        """Filters and bias of the one convolution that is `conv` and then this norm."""
        scale = self.scale()
        bias = -self.running_mean if conv.bias is None else conv.bias - self.running_mean
        return conv.weight * scale.view(-1, 1, 1, 1), bias * scale + self.bias

    def kept(self, compute: Callable, *given: nn.Conv2d):
        """compute(*given), once and then from memory until a weight of this norm or of `given` changes."""
        tensors = [self.weight, self.bias, self.running_mean, self.running_var]
        for layer in given:
            tensors += [layer.weight] if layer.bias is None else [layer.weight, layer.bias]
        state = [(tensor.data_ptr(), tensor._version, tensor.dtype, tensor.device) for tensor in tensors]
        if self._kept_for != state:
            with torch.no_grad():
                self._kept, self._kept_for = compute(*given), state
        return self._kept


class _FrozenNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, mean, variance, weight, bias, eps, scale):
        ctx.save_for_backward(scale)
        return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps)

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.saved_tensors[0].view(1, -1, 1, 1), None, None, None, None, None, None


def conv_norm(conv: nn.Conv2d, norm: BatchNorm2d, x: torch.Tensor) -> torch.Tensor:
    """norm(conv(x)). Where both are frozen and no hook watches them, one convolution with folded filters.

    Whatever else stands in their places, as in a trunk that lost its last layers, is called.
    """
    known = isinstance(conv, nn.Conv2d) and isinstance(norm, BatchNorm2d)
    if not known or not norm.frozen() or conv.weight.requires_grad or watched(conv) or watched(norm):
        return norm(conv(x))
    return conv._conv_forward(x, *norm.kept(norm.folded, conv))


def watched(layer: nn.Module) -> bool:
    """Whether a hook waits for what the layer takes or returns."""
    return bool(layer._forward_hooks or layer._forward_pre_hooks)


class Sequential(nn.Sequential):
    """torch.nn.Sequential in which a convolution and a norm behind it are called by `conv_norm`."""

    def forward(self, x):
        before = None                               # a convolution that waits for what follows it
        for layer in self:
            if before is not None and isinstance(layer, BatchNorm2d):
                x, before = conv_norm(before, layer, x), None
                continue
            x = x if before is None else before(x)
            before = layer if isinstance(layer, nn.Conv2d) else None
            x = layer(x) if before is None else x
        return x if before is None else before(x)


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
