"""GraFIQs: a good face would change the recogniser little.

Kolf, Damer, Boutros, "GraFIQs: Face Image Quality Assessment Using Gradient Magnitudes", CVPRW 2024, arXiv
2404.12203. A face that resembles the training faces has, at every batch norm, the statistics recorded in
training. The mismatch is back-propagated; large gradients at the weights mean that the recogniser would have
to change to take the face in, so the sum of their magnitudes, negated, is the quality. No training; one
forward and one backward pass.

Written from the abstract and summaries of the paper. What they leave open is decided here: variances
(not deviations) are compared, as means of squared errors over channels and then over norms; the network
stays in evaluation mode while it is observed; norms of vectors do not count, because a single image has no
variance there; the parameter group is all convolutions unless `group` names one.
"""
import torch
from torch import nn

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.method import Method
from fiqa_core.kernels.chunks import Chunks, activation_bytes, check_images
from fiqa_core.recognisers.precision import full_float32
from fiqa_core.recognisers.trunk import watched


class GraFIQs:
    """Callable: images (B, 3, 112, 112) float32 RGB in [0, 1] -> quality (B,) float32, at most 0.

    recogniser  a frozen Recogniser with batch norms over maps (not a vision transformer)
    group       name of the module of the network whose convolutions count ("layer2"); "": all
    budget      bytes of activations at once; None: chosen for the device

    An image's score does not depend on its batch. Raises FiqaError for unfit images or recognisers.
    """

    def __init__(self, recogniser: nn.Module, group: str = "", budget: int | None = None):
        self.recogniser, self.chunks = recogniser, Chunks(budget)
        network = getattr(recogniser, "network", recogniser)
        self.norms = [layer for layer in recogniser.modules() if isinstance(layer, nn.BatchNorm2d)]
        self.convolutions = [layer for name, layer in network.named_modules()
                             if isinstance(layer, nn.Conv2d) and f"{name}.".startswith(group and f"{group}.")]
        if not self.norms or not self.convolutions:
            raise FiqaError(f"the recogniser has {len(self.norms)} batch norms over maps and "
                            f"{len(self.convolutions)} convolutions in group {group!r}",
                            "use a convolutional recogniser, and the name of one of its stages")

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        check_images(images)
        if not len(images):
            return images.new_zeros(0)
        with full_float32():
            size = self.chunks.size("gradient", lambda: self._bytes(images[:1]), images.device)
            return -self.chunks.run(lambda first, last: self._magnitude(images[first:last]), len(images),
                                    size)

    def _magnitude(self, images: torch.Tensor) -> torch.Tensor:
        """Sum (B,) of |dL_b / dw| over the weights w of the group, L_b the mismatch of image b."""
        mismatches, seen = [], []

        def note(layer, entered, left):
            if isinstance(layer, nn.BatchNorm2d):
                mismatches.append(statistics_mismatch(entered, layer))
            else:
                seen.append((layer, entered.detach(), left))

        with watched([*self.norms, *self.convolutions], note), torch.enable_grad():
            self.recogniser(images.detach().requires_grad_(True))
            loss = torch.stack(mismatches).mean(dim=0)                              # L_BNS of each image
            # In evaluation mode no image touches another: the gradient of the sum holds those of all images.
            arrived = torch.autograd.grad(loss.sum(), [left for *_, left in seen], allow_unused=True)
        return sum((weight_gradient_magnitude(layer, entered, gradient)
                    for (layer, entered, _), gradient in zip(seen, arrived) if gradient is not None),
                   start=loss.new_zeros(len(images)))

    def _bytes(self, image: torch.Tensor) -> int:
        # Kept for the backward pass, and the patches of the widest layer besides.
        return sum(activation_bytes(self.recogniser, (image,), gradient) for gradient in (True, False))


def statistics_mismatch(entered: torch.Tensor, norm: nn.BatchNorm2d) -> torch.Tensor:
    """Mean squared errors (B,) of mean and variance of each channel of maps (B, C, H, W), added up."""
    mean, variance = entered.mean(dim=(2, 3)), entered.var(dim=(2, 3), correction=0)
    return ((mean - norm.running_mean).square() + (variance - norm.running_var).square()).mean(dim=1)


def weight_gradient_magnitude(conv: nn.Conv2d, entered, gradient) -> torch.Tensor:
    """Sum (B,) of |dL_b / dw| over the weights of a convolution.

    entered (B, C, H, W) its input; gradient (B, O, h, w) of the sum of the losses L_b at its output. The
    gradient of one image's weights is the product of the gradient with the patches the kernel saw.
    """
    patches = nn.functional.unfold(entered, conv.kernel_size, conv.dilation, conv.padding, conv.stride)
    patches = patches.unflatten(1, (conv.groups, -1))                       # (B, groups, C/g k k, h w)
    gradient = gradient.flatten(2).unflatten(1, (conv.groups, -1))          # (B, groups, O/g, h w)
    return (gradient @ patches.transpose(2, 3)).abs().flatten(1).sum(dim=1)


# one pass forward; those backward, for the picture and for the weights, cost as much each
METHODS = [Method("grafiqs", "GraFIQs", GraFIQs, needs=("recogniser",), passes=lambda options, network: 3)]
