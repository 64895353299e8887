"""MagFace, CR-FIQA and PFE: the dossier's values, closed forms, and what training makes of small networks."""
import functools
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal, spearmanr
from torch import nn

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import to_batch
from fiqa_core.methods import pfe
from fiqa_core.methods.cr_fiqa import CRFIQA, train_cr_fiqa
from fiqa_core.methods.magface import MagFace
from fiqa_core.methods.pfe import UncertaintyModule, train_pfe
from fiqa_core.recognisers import heads
from fiqa_core.recognisers.zoo import recogniser_from_config
from fiqa_core.training.recogniser import train_recogniser
from tests.helpers.degraded_faces import NETWORK, TRAINING, means, trained_recogniser, training_faces
from tests.helpers.small_networks import faces, recogniser

BGR = {"colour": "bgr", "mean": 0.0, "std": 1.0}
MAGFACE = {"head": "magface", "epochs": 8, "batch": 32, "lr": 0.1, "scale": 16, "seed": 1,
           "magnitudes": [1.5, 12.0], "margins": [0.1, 0.4], "penalty": 3.0}
PFE_CONFIG = {"epochs": 40, "people": 8, "each": 4, "lr": 3e-3}


@functools.cache
def trained(name: str):
    """A method trained on `training_faces()`, once for all tests."""
    architecture = recogniser_from_config(NETWORK)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "run.pt"
        if name == "MagFace":
            return MagFace(train_recogniser(training_faces(), {**NETWORK, **BGR, **MAGFACE}, checkpoint))
        if name == "CR-FIQA":
            return train_cr_fiqa(training_faces(), architecture, {**TRAINING, "lr": 0.03}, checkpoint)
        return train_pfe(training_faces(), trained_recogniser(), PFE_CONFIG, checkpoint)


@pytest.mark.parametrize("name, kind", [("MagFace", "blur"), ("MagFace", "noise"), ("PFE", "blur"),
                                        ("PFE", "noise")])
def test_scores_fall_with_degradation(name, kind):
    scores = means(trained(name), kind)
    assert scores[-1] < scores[0], scores


def test_cr_fiqa_predicts_on_the_scale_of_the_ratio():
    assert 0.3 < trained("CR-FIQA")(to_batch(training_faces().pixels)).mean() < 0.9


# CR-FIQA and PFE need more identities than these before their scores say more than who it is.
def test_magface_follows_the_true_severity():
    data = training_faces()
    scores = trained("MagFace")(to_batch(data.pixels))
    assert spearmanr(scores, data.images["severity"]).statistic < -0.2


# ---- MagFace

@pytest.mark.parametrize("magnitude, margin, pull, logit", [
    (10, 0.45, 0.10082645, 4.70607), (20, 0.485, 0.05165289, 2.469708), (30, 0.52, 0.03581267, 0.230321),
    (60, 0.625, 0.02162534, -6.478563), (110, 0.8, 0.01818182, -17.465296),
    (300, 0.8, 0.01818182, -17.465296)])
def test_margin_and_pull_grow_and_fall_with_the_magnitude(magnitude, margin, pull, logit):
    head = heads.MagFace(3, 2)
    head.weight.data = torch.eye(3)[:2]
    embedding, label = magnitude * torch.tensor([[0.5, 0.0, 0.75 ** 0.5]]), torch.tensor([0])
    assert head.logits(embedding, label)[0, 0].item() == pytest.approx(logit, abs=2e-5)
    assert 64 * np.cos(np.pi / 3 + margin) == pytest.approx(logit, abs=1e-5)
    # No margin beyond a right angle.
    assert head.logits(-embedding, label)[0, 0].item() == pytest.approx(-32, abs=1e-5)
    difference = head(embedding, label) - head.sample_losses(embedding, label).mean()
    assert difference.item() / 35 == pytest.approx(pull, rel=1e-4)


def test_the_score_is_the_length_as_it_comes():
    network, images = recogniser(), faces(3)
    network.network.features.weight.data.fill_(100.0)
    scores = MagFace(network)(images)
    torch.testing.assert_close(scores, network(images).square().sum(1).sqrt())
    assert scores.min() > 110


def test_the_length_that_a_network_divides_by_counts():
    adaface = recogniser_from_config({"network": "adaface", "blocks": [1, 1], "widths": [16, 16], "size": 56,
                                      "stem_stride": 2, "embedding": 8}).freeze()
    images = faces(3)
    torch.testing.assert_close(MagFace(adaface)(images), adaface.outputs(images)[1][:, 0])
    assert CRFIQA(adaface).embed_and_score(images)[0].norm(dim=1).sub(1).abs().min() > 0.01


# ---- PFE

MEANS = torch.tensor([[1.0, 0, 0, 0], [0.6, 0.8, 0, 0]])
EQUAL = torch.full((2, 4), 0.1)
UNEQUAL = torch.tensor([[0.1, 0.1, 0.1, 0.1], [0.1, 0.2, 0.3, 0.4]])


@pytest.mark.parametrize("variance, loss", [(EQUAL, -2.437752), (UNEQUAL, -1.489515)])
def test_pair_loss_is_the_mutual_likelihood_without_its_constant(variance, loss):
    first, second = torch.tensor([0]), torch.tensor([1])
    assert pfe.pair_loss(MEANS, variance, first, second).item() == pytest.approx(loss, abs=1e-5)
    assert pfe.pair_loss(MEANS, variance, second, first).item() == pytest.approx(loss, abs=1e-5)
    likelihood = multivariate_normal(MEANS[0], np.diag(variance.sum(0))).logpdf(MEANS[1])
    assert -2 * likelihood - 4 * np.log(2 * np.pi) == pytest.approx(loss, abs=1e-5)


def test_quality_is_the_mean_precision():
    assert pfe.quality(UNEQUAL).tolist() == pytest.approx([10, 1 / 0.192], rel=1e-4)
    assert 1 / np.mean(1 / np.array([0.1, 0.2, 0.3, 0.4])) == pytest.approx(0.192)


def test_the_single_variance_has_the_greatest_likelihood():
    mean = nn.functional.normalize(torch.randn(6, 8, generator=torch.Generator().manual_seed(0)))
    first, second = torch.triu_indices(6, 6, 1)
    best = pfe.best_single_variance(mean, first, second)
    grid = [pfe.pair_loss(mean, torch.full((6, 8), best * factor), first, second).item()
            for factor in (0.5, 0.9, 1.0, 1.1, 2.0)]
    assert grid.index(min(grid)) == 2


def test_the_untrained_module_claims_its_start_everywhere():
    module = UncertaintyModule(10, 6, 6, -7.0).eval()
    variance = module(torch.randn(4, 10, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(variance, torch.full((4, 6), math.exp(-7) + 1e-6), rtol=1e-3, atol=0)
    module.shift.data.fill_(-50.0)
    assert module(torch.zeros(1, 10)).min() >= 1e-6


def test_pfe_lowers_its_loss_and_leaves_the_recogniser_alone(tmp_path):
    network = trained_recogniser()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    train_pfe(training_faces(8, 8), network, {**PFE_CONFIG, "epochs": 10}, log=tmp_path / "log.csv")
    log = np.genfromtxt(tmp_path / "log.csv", delimiter=",", names=True)
    assert log["loss"][-3:].mean() < log["loss"][:3].mean()
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_bad_training_input_is_refused():
    with pytest.raises(FiqaError, match="two training images"):
        train_pfe(training_faces(4, 1), trained_recogniser())
    with pytest.raises(FiqaError, match="unknown setting"):
        train_pfe(training_faces(4, 2), trained_recogniser(), {"step": 3})
