"""PFE as its authors released it: TensorFlow checkpoints of a SphereNet-64 with its uncertainty module.

Two were published, of CASIA-WebFace and of MS-ArcFace; `from_tensorflow` takes their variables, and the graph
is not needed. The scalar is ours to choose: the repository exports mean and variance, and whether the paper's
harmonic mean is of sigma or of sigma^2 is not known; here it is that of sigma^2 (`pfe.quality`).
"""
import re

import torch
from torch import nn
from torch.nn import functional as F

from fiqa_core.methods.one_pass import OnePass
from fiqa_core.methods.pfe import UncertaintyModule, quality
from fiqa_core.recognisers.spherenet import SphereNet

COLUMNS = slice(8, 104)             # of the ArcFace crop: PFE's template is the same, for 96 columns
START = -7.0


class OfficialPFE(OnePass):
    """Aligned images (B, 3, 112, 112) float32 RGB in [0, 1] -> quality (B,) > 0, higher is better.

    network   a PFENetwork; None: an untrained one of the published size
    budget    bytes of activations at once; None: chosen for the device
    Raises FiqaError for unfit images.
    """

    def __init__(self, network: nn.Module | None = None, budget: int | None = None):
        super().__init__(network or PFENetwork(), budget)
        self.eval()

    def prepare(self, images):
        """(B, 3, 112, 96): the middle columns, (x - 127.5) / 128 of 8 bits."""
        return (images[..., COLUMNS] - 0.5) * (255 / 128)

    def columns(self, images):
        mean, variance = self.network(self.prepare(images))
        return torch.cat((mean, variance, quality(variance)[:, None]), dim=1)

    def gaussians(self, images) -> tuple[torch.Tensor, torch.Tensor]:
        """Means, of length 1, and variances (B, D) of images, for `pfe.mutual_likelihood` and `pfe.fuse`."""
        mean, variance = self.score(images)[:, :-1].chunk(2, dim=1)
        return mean, variance


class PFENetwork(nn.Module):
    """Prepared images (B, 3, 112, 96) -> (mean (B, D) of length 1, variance (B, D)); sizes: SphereNet's."""

    def __init__(self, *arguments, **sizes):
        super().__init__()
        self.sphere = SphereNet(*arguments, **sizes)
        embedding = self.sphere.linear.out_features
        self.uncertainty = UncertaintyModule(self.sphere.features, embedding, embedding, START)

    def forward(self, prepared):
        embedding, features = self.sphere(prepared)
        return F.normalize(embedding), self.uncertainty(features)


LAYERS = {"SphereNet/Bottleneck/weights": "sphere.linear.weight",
          "SphereNet/Bottleneck/BatchNorm": "sphere.bn",
          "UncertaintyModule/fc1/weights": "uncertainty.fc1.weight",
          "UncertaintyModule/fc1/BatchNorm": "uncertainty.bn1",
          "UncertaintyModule/fc_log_sigma_sq/weights": "uncertainty.fc2.weight",
          "UncertaintyModule/fc_log_sigma_sq/BatchNorm": "uncertainty.bn2",
          # the names are the reverse of habit: alpha multiplies, gamma is added
          "UncertaintyModule/scale_and_shift/alpha": "uncertainty.scale",
          "UncertaintyModule/scale_and_shift/gamma": "uncertainty.shift"}
LEAVES = {"weights": "weight", "biases": "bias", "gamma": "weight", "beta": "bias",
          "moving_mean": "running_mean", "moving_variance": "running_var"}
AXES = {4: (3, 2, 0, 1), 2: (1, 0)}     # of convolutions and matrices, in torch's order
CONVOLUTION = re.compile(r"SphereNet/conv(\d+)/Conv(?:_(\d+))?/(weights|biases|p_re_lu/alpha)")
TRAINING = re.compile(r"global_step|.*/Momentum")               # what an optimiser leaves in a checkpoint


def from_tensorflow(tensors: dict) -> dict:
    """State dict of a PFENetwork from the variables of a released checkpoint, by their TensorFlow names.

    Convolutions there are (kh, kw, in, out), matrices (in, out), slopes (1, 1, C). Names that belong to no
    layer are kept, for the loader to report; counters and momenta of the training are left out.
    """
    state = {}
    for name, tensor in tensors.items():
        if TRAINING.fullmatch(name):
            continue
        key = torch_name(name)
        if name.endswith("/weights") and tensor.ndim in AXES:
            tensor = tensor.permute(AXES[tensor.ndim])
        state[key] = tensor.flatten() if name.endswith("p_re_lu/alpha") else tensor
        if key.endswith("running_var"):
            state[key.replace("running_var", "num_batches_tracked")] = torch.tensor(0)
    return state


def torch_name(name: str) -> str:
    """'SphereNet/conv2/Conv_3/weights' -> 'sphere.stages.1.units.1.conv1.weight'; unknown names stay."""
    if name in LAYERS:
        return LAYERS[name]
    layer, _, leaf = name.rpartition("/")
    if layer in LAYERS:
        return f"{LAYERS[layer]}.{LEAVES.get(leaf, leaf)}"
    found = CONVOLUTION.fullmatch(name)
    return name if found is None else _convolution(int(found[1]) - 1, found[2], found[3])


def _convolution(stage: int, number: str | None, leaf: str) -> str:
    """Key of a stage's convolution, from 0, or of the PReLU behind it; None: the one that halves the map."""
    unit, second = divmod(int(number or 1) - 1, 2)
    inside, place = ("", "") if number is None else (f"units.{unit}.", str(second + 1))
    layer = "prelu" if leaf.startswith("p_re_lu") else "down" if number is None else "conv"
    return f"sphere.stages.{stage}.{inside}{layer}{place}.{LEAVES.get(leaf, 'weight')}"
