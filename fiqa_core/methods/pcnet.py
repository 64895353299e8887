"""PCNet: the worse of two faces limits how similar they can look, so its confidence must tell the similarity.

Xie, Byrne and Zisserman, "Inducing Predictive Uncertainty Estimation for Face Recognition", BMVC 2020 (arXiv
2009.00603). There is no official code; loss and training follow later papers that use the method, the head is
a linear layer on a recogniser's last features. The paper has two recognisers, each of which tells the
similarities of people it has not seen; here one tells all.
"""
from pathlib import Path

import torch
from torch import nn

from fiqa_core.base.faces import FaceSet
from fiqa_core.base.method import Method
from fiqa_core.recognisers.recogniser import Recogniser
from fiqa_core.recognisers.trunk import views
from fiqa_core.training.fitting import DEFAULTS as FITTING
from fiqa_core.training.fitting import Resume, fit, run_identity, settings_of, trained_parameters, untrained
from fiqa_core.training.people import genuine_pairs, pair_batches, pair_cosines
from fiqa_core.training.regression import ALL_TENSORS, TRAINED, Regressor, learns, raw_scores

DEFAULTS = {**FITTING, **TRAINED, "trained_tensors": ALL_TENSORS, "people": 16, "each": 8}


class PCNet(Regressor):
    """Confidence in (0, 1); see Regressor. The trunk learns as well."""

    def build_head(self, features):
        return nn.Sequential(nn.Linear(features, 1))

    def bound(self, raw):
        return raw.sigmoid()


def train_pcnet(faces: FaceSet, recogniser: Recogniser, config: dict | None = None,
                checkpoint: Path | None = None, device="cpu", log: Path | None = None) -> PCNet:
    """PCNet trained on the genuine pairs of `faces`, starting from the recogniser's trunk.

    config      overrides of DEFAULTS; a batch has `people` groups of up to `each` images of one person
    checkpoint  state file: an interrupted run continues from it with the same result; None: no saving
    log         CSV of the losses of each epoch
    Raises FiqaError for faces without pairs and for unfit settings.
    """
    settings = settings_of(config, DEFAULTS)
    codes, rows, draw = pair_batches(faces, settings)
    embeddings = views(recogniser, faces.pixels, device)
    model = untrained(lambda: PCNet(recogniser), settings["seed"]).to(device)
    scores, person = raw_scores(model, faces.pixels, settings, device), torch.from_numpy(codes).to(device)

    def loss(rows, mirrored):
        seen = nn.functional.normalize(embeddings[rows, mirrored.astype(int)])
        return pair_minimum_loss(scores(rows, mirrored).sigmoid(), seen, person[rows])

    fit({"model": model}, trained_parameters(model, settings), loss, rows, draw, settings,
        Resume(checkpoint, run_identity(model, settings, faces.pixels, embeddings.cpu().numpy())), log)
    return model.requires_grad_(False).eval()


def pair_minimum_loss(confidence: torch.Tensor, embeddings: torch.Tensor,
                      person: torch.Tensor) -> torch.Tensor:
    """Mean of (cos(f_i, f_j) - min(c_i, c_j))^2 over the genuine pairs of a batch.

    confidence (B,) in (0, 1), embeddings (B, D) of length 1, person (B,). Of a pair only the less confident
    image gets a gradient.
    """
    i, j = genuine_pairs(person)
    return (pair_cosines(embeddings, (i, j)) - torch.minimum(confidence[i], confidence[j])).square().mean()


METHODS = [Method("pcnet", "PCNet", PCNet, needs=("model",), train=train_pcnet, training=DEFAULTS, learns=learns)]
