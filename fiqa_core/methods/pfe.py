"""PFE: a face is a Gaussian in embedding space, and its precision is the quality (Shi, Jain, ICCV 2019).

The mean is the frozen recogniser's embedding, of length 1. A small module learns the variance from the last
features, such that images of one person are likely to share one embedding (arXiv 1904.09658): where little
can be known about the embedding of a face, it has to claim little.

The authors released TensorFlow checkpoints of a SphereNet-64 with its uncertainty module, of CASIA-WebFace
and of MS-ArcFace; `from_tensorflow` takes their variables, and the graph is not needed. The scalar is ours to
choose: the repository exports mean and variance, and whether the paper's harmonic mean is of sigma or of
sigma^2 is not known; here it is that of sigma^2 (`quality`).
"""
import math
import re
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from fiqa_core.base.faces import FaceSet
from fiqa_core.base.method import Method
from fiqa_core.kernels.chunks import Chunks, OnePass, check_images, embed
from fiqa_core.recognisers.recogniser import Recogniser
from fiqa_core.recognisers.spherenet import SphereNet
from fiqa_core.recognisers.trunk import EmbeddingLayers, trunk_of, views
from fiqa_core.training.fitting import DEFAULTS as FITTING
from fiqa_core.training.fitting import Resume, decayed, fit, run_identity, settings_of, untrained
from fiqa_core.training.people import genuine_pairs, pair_batches

# A batch has `people` groups of up to `each` images of one person. start None: the logarithm of the best single
# variance of the first batch.
PAPER = {**FITTING, "optimiser": "sgd", "lr": 1e-3, "drops": [2 / 3], "weight_decay": 5e-4, "clip": math.inf,
         "epochs": 20, "people": 64, "each": 4, "hidden": None, "start": None}
SMALLEST = 1e-6                     # of a variance


class UncertaintyModule(nn.Module):
    """Features (B, F) -> variances (B, D), above 1e-6.

    hidden   width of the layer between; start  logarithm of the variance before training
    """

    def __init__(self, features: int, embedding: int, hidden: int, start: float):
        super().__init__()
        self.fc1 = nn.Linear(features, hidden, bias=False)
        self.bn1 = nn.BatchNorm1d(hidden, eps=1e-3)
        self.fc2 = nn.Linear(hidden, embedding, bias=False)
        self.bn2 = nn.BatchNorm1d(embedding, eps=1e-3, affine=False)
        self.scale = nn.Parameter(torch.tensor(1e-4))
        self.shift = nn.Parameter(torch.tensor(float(start)))

    def forward(self, features):
        y = self.bn2(self.fc2(F.relu(self.bn1(self.fc1(features)))))
        return SMALLEST + torch.exp(self.scale * y + self.shift)


class PFE(nn.Module):
    """Images (B, 3, 112, 112) float32 RGB in [0, 1] -> quality (B,) float32, higher is better, positive.

    backbone   a Recogniser, whose network is copied up to its last features
    hidden     width of the uncertainty module; None: that of the embedding
    start      logarithm of the variance before training
    budget     bytes of activations at once; None: chosen for the device

    Raises FiqaError for unfit images.
    """

    def __init__(self, backbone: Recogniser, hidden: int | None = None, start: float = -7.0,
                 budget: int | None = None):
        super().__init__()
        size = backbone.embedding_size
        self.hidden, self.start = hidden, start
        self.trunk = trunk_of(backbone)
        self.uncertainty = UncertaintyModule(self.trunk.embedding_size, size, hidden or size, start)
        self.chunks = Chunks(budget)
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return quality(self.variances(images))

    @torch.no_grad()
    def variances(self, images: torch.Tensor) -> torch.Tensor:
        """sigma^2 (B, D) of images (B, 3, 112, 112); the means are the backbone's embeddings, normalised."""
        features = embed(self.trunk, check_images(images), self.chunks)
        return self.uncertainty(features if len(images) else images.new_zeros(0, self.trunk.embedding_size))


def quality(variance: torch.Tensor) -> torch.Tensor:
    """Mean precision (B,) of variances (B, D), which is one over their harmonic mean."""
    return (1 / variance).mean(dim=1)


def pair_loss(mean, variance, first, second) -> torch.Tensor:
    """Mean of -2 s over genuine pairs: mean, variance (B, D), first, second (P,) rows.

    s is the mutual likelihood, the log likelihood that both Gaussians stand for one embedding, without its
    constant -D/2 log(2 pi). The loss may well be negative: the logarithms of small variances add up.
    """
    total = variance[first] + variance[second]
    return ((mean[first] - mean[second]).square() / (total + 1e-10) + total.log()).sum(dim=1).mean()


def best_single_variance(mean, first, second) -> float:
    """The variance for all images and dimensions that maximises the likelihood of pairs of means (B, D)."""
    return ((mean[first] - mean[second]).square().mean() / 2).clamp_min(SMALLEST).item()


def train_pfe(faces: FaceSet, recogniser: Recogniser, config: dict | None = None,
              checkpoint: Path | None = None, device="cpu", log: Path | None = None) -> PFE:
    """Train the uncertainty module on genuine pairs of `faces`; the recogniser stays as it is.

    config       overrides of PAPER
    checkpoint   state file: an interrupted run continues from it with the same result; None: no saving
    log          CSV of the loss of each epoch

    Features are computed once. Raises FiqaError where nobody has two images, or for an unknown setting.
    """
    settings = settings_of(config, PAPER)
    codes, rows, draw = pair_batches(faces, settings)
    recogniser = recogniser.to(device)
    features = views(trunk_of(recogniser), faces.pixels, device)
    with torch.no_grad():
        mean = F.normalize(EmbeddingLayers(recogniser)(features.flatten(0, 1))).unflatten(0, (-1, 2))
    people = torch.from_numpy(codes).to(device)
    start = settings["start"]
    if start is None:
        chosen = draw(rows[0], np.random.default_rng(settings["seed"]))[0]
        start = math.log(best_single_variance(mean[chosen, 0], *genuine_pairs(people[chosen])))
    model = untrained(lambda: PFE(recogniser, settings["hidden"], start), settings["seed"]).to(device)

    def loss(rows, mirrored):
        view = mirrored.astype(int)
        variance = model.uncertainty(features[rows, view])
        return pair_loss(mean[rows, view], variance, *genuine_pairs(people[rows]))

    groups = [{**group, "lr": settings["lr"]}
              for group in decayed(model.uncertainty.parameters(), settings["weight_decay"])]
    fit({"PFE": model.uncertainty}, groups, loss, rows, draw, settings,
        Resume(checkpoint, run_identity(model, settings, faces.pixels, features.cpu().numpy())), log)
    return model.requires_grad_(False).eval()


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
    layer are kept, for the loader to report; counters and momenta of the training are left out. {} for the
    names of another network.
    """
    if not any(name.startswith("SphereNet/") for name in tensors):
        return {}
    state = {}
    for name, tensor in tensors.items():
        if TRAINING.fullmatch(name):
            continue
        key = torch_name(name)
        if name.endswith("/weights") and tensor.ndim in AXES:
            tensor = tensor.permute(AXES[tensor.ndim])
        state[key] = tensor.flatten() if name.endswith("p_re_lu/alpha") else tensor
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


METHODS = [Method("pfe", "PFE", PFE, needs=("model",), train=train_pfe, training=PAPER,
                  learns=lambda options, images: (2 * images, 0), released={"pfe": OfficialPFE},
                  translate=from_tensorflow)]
