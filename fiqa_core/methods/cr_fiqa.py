"""CR-FIQA: quality is how well a face can be classified (Boutros, Fang, Klemt, Fu, Damer, CVPR 2023).

While a recogniser is trained, a linear layer on its embedding learns to predict each sample's relative
classifiability: its cosine to its own class centre, relative to that to the nearest other centre. For a face
of nobody in the training set the same layer tells the quality (arXiv 2112.06592).
"""
from copy import deepcopy
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from fiqa_core.base.faces import FaceSet
from fiqa_core.base.method import Method
from fiqa_core.kernels.ediffiqa import Distilled, preparation_of
from fiqa_core.recognisers.heads import ArcFace
from fiqa_core.recognisers.iresnet import DEPTHS, IResNet
from fiqa_core.recognisers.recogniser import Recogniser
from fiqa_core.recognisers.zoo import recogniser_from_catalogue
from fiqa_core.training.fitting import settings_of
from fiqa_core.training.recogniser import DEFAULTS as TRAINING
from fiqa_core.training.recogniser import train

EPSILON = 1e-9
NEGATIVE_ZERO = -1e-12              # what the released code puts in the place of the own class
# Official (S): IResNet50 on CASIA-WebFace, batch 512, 34 epochs, lr 0.1.
PAPER = {"scale": 64.0, "margin": 0.5, "quality_weight": 10.0, "beta": 0.5, "shifted": True,
         "pretrained": False, "epochs": 34, "batch": 512, "lr": 0.1}
DEFAULTS = {**TRAINING, **PAPER}
QUALITY_OPTIONS = ("quality_weight", "beta", "shifted")


def relative_classifiability(cosines, labels, shifted: bool = True) -> torch.Tensor:
    """CR (B,) from the cosines (B, C) of samples and class centres, and labels (B,); without gradient.

    shifted=True is the paper's CCS / (NNCCS + 1 + epsilon), at most 1 where some other centre is less than a
    right angle away. False is the released code's CCS / NNCCS, with which the released models seem to have
    been trained; it has no bound where all other centres are far away, as in a set of few identities.
    """
    with torch.no_grad():
        own = labels[:, None]
        ccs = cosines.gather(1, own).squeeze(1)
        if shifted:
            nnccs = cosines.scatter(1, own, -torch.inf).amax(dim=1)
            return ccs / (nnccs + 1 + EPSILON)
        return ccs / cosines.scatter(1, own, NEGATIVE_ZERO).amax(dim=1)


class ClassifiabilityHead(ArcFace):
    """ArcFace with the quality layer `qs`: L = L_arc + alpha L_cr (the paper calls alpha lambda).

    quality_weight   alpha;  beta  where the smooth L1 loss turns from a parabola into a line
    shifted          which ratio is learnt, see `relative_classifiability`

    The ratio is constant in the backward pass; the prediction's gradient reaches the recogniser.
    """

    def __init__(self, embedding, classes, scale=64.0, margin=0.5, quality_weight=10.0, beta=0.5,
                 shifted=True):
        super().__init__(embedding, classes, scale, margin, gradient="true", largest_loss=torch.inf)
        self.qs = nn.Linear(embedding, 1)
        self.quality_weight, self.beta, self.shifted = quality_weight, beta, shifted

    def target(self, cosine):
        return super().target(cosine.clamp(-1 + 1e-7, 1 - 1e-7))                # arccos is steep at the ends

    def quality_loss(self, embeddings, labels):
        """L_cr, the smooth L1 distance of predicted quality and relative classifiability."""
        ratio = relative_classifiability(self.cosines(embeddings), labels, self.shifted)
        return F.smooth_l1_loss(self.qs(embeddings).squeeze(1), ratio, beta=self.beta)

    def forward(self, embeddings, labels):
        recognition = super().forward(embeddings, labels)
        return recognition + self.quality_weight * self.quality_loss(embeddings, labels)


class CRFIQANetwork(IResNet):
    """CR-FIQA: an IResNet with one linear layer `qs` more; prepared images -> (embedding, quality (B, 1)).

    Arguments as for IResNet, whose last batch norm is trained completely here.
    """

    def __init__(self, blocks=DEPTHS[100], embedding: int = 512, dropout: float = 0.4, **sizes):
        super().__init__(blocks, embedding=embedding, dropout=dropout, train_scale=True, **sizes)
        self.qs = nn.Linear(embedding, 1)

    def judge(self, prepared):
        """(embedding (B, D), quality (B, 1)); unbounded, about 0.1 to 2.4 with the released weights."""
        embedding = super().forward(prepared)
        return embedding, self.qs(embedding)

    def forward(self, prepared):
        return self.judge(prepared)


class CRFIQA(Distilled):
    """CR-FIQA; its score has no bounds, about 0.1 to 2.4 with the released weights.

    backbone   a Recogniser, copied; IResNet-50 (S) and 100 (L) in the paper
    head       the linear layer (D -> 1) that was trained together with it, `qs`; None: a new one

    The state dict holds the backbone's own keys and `qs.*`, as the released files do.
    """

    def __init__(self, backbone: Recogniser, head: nn.Module | None = None, budget: int | None = None):
        backbone = deepcopy(backbone)
        backbone.network.qs = head or nn.Linear(backbone.embedding_size, 1)
        super().__init__(backbone.network, preparation_of(backbone), budget)
        self.backbone = backbone.eval()

    def features(self, images):
        embedding = self.backbone.raw(self.backbone.outputs(images))         # what the loss saw in training
        return embedding, self.network.qs(embedding).squeeze(1)


def train_cr_fiqa(faces: FaceSet, recogniser: Recogniser, config: dict, checkpoint: Path, device="cpu",
                  log: Path | None = None) -> CRFIQA:
    """Train recogniser and quality layer jointly on `faces`.

    recogniser   tells the architecture; its weights are the start where `pretrained`, else they are not used
    config       overrides of DEFAULTS
    checkpoint   written after every epoch; an interrupted run continues from it, with the same result
    log          CSV with one row per epoch

    The quality layer's loss is steep: with the paper's weight alpha, batches of some dozens overshoot at its
    learning rate and disturb the recogniser; a quality_weight of 1 suits them. Raises FiqaError for a
    configuration that does not fit.
    """
    config = {**recogniser.config, "name": "CR-FIQA", **settings_of(config, DEFAULTS), "head": "crfiqa"}
    head = partial(ClassifiabilityHead, **{key: config[key] for key in QUALITY_OPTIONS})
    initial = recogniser if config["pretrained"] else None
    trained, head = train(faces, config, checkpoint, device, log, head, initial)
    return CRFIQA(trained, head.qs).requires_grad_(False)


def official(depth: int) -> CRFIQA:
    """The empty network of a released file, an IResNet of that depth."""
    backbone = recogniser_from_catalogue(f"iresnet{depth}")
    backbone.network = CRFIQANetwork(DEPTHS[depth])
    return CRFIQA(backbone, backbone.network.qs)


METHODS = [Method("cr_fiqa", "CR-FIQA", CRFIQA, needs=("model",), train=train_cr_fiqa, training=DEFAULTS,
                  released={"cr_fiqa_s": partial(official, 50), "cr_fiqa_l": partial(official, 100)})]
