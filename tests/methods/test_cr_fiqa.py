"""CR-FIQA: the released code's loss and network, the ratio by hand, joint training resumed."""
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from fiqa_core.loading import load_quality
from fiqa_core.methods.cr_fiqa import CRFIQA, ClassifiabilityHead, relative_classifiability, train_cr_fiqa
from fiqa_core.recognisers.zoo import recogniser_from_catalogue
from tests.helpers.degraded_faces import TRAINING, trained_recogniser, training_faces
from tests.helpers.golden_networks import fill, golden, golden_input, keys_agree
from tests.helpers.small_networks import faces, recogniser

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "crfiqa_loss.npz")


class Predicted(nn.Module):
    """A quality layer that predicts the golden file's values whatever it sees."""

    def forward(self, embeddings):
        return torch.from_numpy(GOLDEN["crfiqa/predicted_quality"])


def test_loss_and_gradients_are_the_official_codes():
    head = ClassifiabilityHead(32, 12, shifted=False)
    head.weight.data, head.qs = torch.from_numpy(GOLDEN["weight"]).clone(), Predicted()
    embeddings = torch.from_numpy(GOLDEN["embeddings"]).requires_grad_()
    labels = torch.from_numpy(GOLDEN["labels"])
    head(embeddings, labels).backward()
    found = {"logits": head.logits(embeddings, labels), "loss": head(embeddings, labels),
             "loss_qs": head.quality_loss(embeddings, labels), "grad_embeddings": embeddings.grad,
             "grad_weight": head.weight.grad}
    for name, value in found.items():
        wanted = GOLDEN[f"crfiqa/{name}"]
        error = np.abs(value.detach().numpy() - wanted).max() / np.abs(wanted).max()
        assert error < 1e-5, (name, error)


def test_relative_classifiability_by_hand():
    cosines = torch.tensor([[0.8, 0.4, -0.2], [0.9, 0.5, 0.7]], requires_grad=True)
    labels = torch.tensor([0, 1])
    ratio = relative_classifiability(cosines, labels)
    assert ratio.tolist() == pytest.approx([0.8 / 1.4, 0.5 / 1.9]) and not ratio.requires_grad
    assert relative_classifiability(cosines, labels, shifted=False).tolist() == pytest.approx([2, 0.5 / 0.9])
    lonely = torch.tensor([[0.5, -0.3]])            # the released code divides by the -1e-12 of the own class
    assert relative_classifiability(lonely, torch.tensor([0]), shifted=False).item() == pytest.approx(-5e11)
    assert relative_classifiability(lonely, torch.tensor([0])).item() == pytest.approx(0.5 / 0.7)


@pytest.mark.parametrize("error, loss", [(0.1, 0.01), (0.4, 0.16), (0.5, 0.25), (1.0, 0.75), (2.0, 1.75)])
def test_the_quality_loss_turns_from_a_parabola_into_a_line(error, loss):
    head, embedding = ClassifiabilityHead(2, 2), torch.tensor([[1.0, 0.0]])
    head.weight.data = torch.eye(2)                                         # so that the ratio is 1
    head.qs.weight.data.zero_(), head.qs.bias.data.fill_(1.0 - error)
    assert head.quality_loss(embedding, torch.tensor([0])).item() == pytest.approx(loss, rel=1e-5)


def test_the_quality_loss_moves_embeddings_but_not_centres():
    head, labels = ClassifiabilityHead(8, 5), torch.tensor([0, 1, 2])
    embeddings = torch.randn(3, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    head.quality_loss(embeddings, labels).backward()
    assert embeddings.grad.abs().min() > 0 and head.weight.grad is None
    # Cosines of 1, where the slope of arccos is infinite.
    aligned = head.weight.data[labels].clone().requires_grad_()
    head(aligned, labels).backward()
    assert torch.isfinite(aligned.grad).all() and torch.isfinite(head.weight.grad).all()


def test_the_quality_layer_learns_the_ratio_of_each_sample():
    """Embeddings somewhere between their class's direction and noise, which tell where in one more value."""
    generator = torch.Generator().manual_seed(0)
    labels, share = torch.arange(8).repeat(40), torch.rand(320, 1, generator=generator)
    noise = torch.randn(320, 8, generator=generator) / 8 ** 0.5
    embeddings = torch.cat((share * torch.eye(8)[labels] + (1 - share) * noise, share), dim=1)
    torch.manual_seed(0)
    head = ClassifiabilityHead(9, 8, scale=8.0, margin=0.2)
    optimiser = torch.optim.SGD(head.parameters(), 0.1, momentum=0.9)
    for _ in range(600):
        optimiser.zero_grad()
        head(embeddings, labels).backward()
        optimiser.step()
    ratio = relative_classifiability(head.cosines(embeddings), labels)
    assert spearmanr(head.qs(embeddings).detach()[:, 0], ratio).statistic > 0.5


def test_embedding_and_score_of_one_pass():
    model, images = CRFIQA(recogniser()), faces(3)
    embedding, score = model.embed_and_score(images)
    torch.testing.assert_close(embedding, model.backbone(images))
    torch.testing.assert_close(score, embedding @ model.network.qs.weight[0] + model.network.qs.bias)


def test_the_official_keys_and_weights_give_the_golden_quality(tmp_path):
    """The bare network does so in test_architectures; here the method on a recogniser of the catalogue."""
    wanted = golden("crfiqa_iresnet50")
    model = CRFIQA(recogniser_from_catalogue("iresnet50"))
    assert keys_agree("crfiqa_iresnet50", model)
    fill(model.state_dict())
    images = (golden_input(wanted["input_shape"]) + 1) / 2
    torch.save(model.state_dict(), tmp_path / "backbone.pth")
    embedding, quality = load_quality("cr_fiqa_s", tmp_path / "backbone.pth").embed_and_score(images)
    for value, published in ((embedding, wanted["embedding"]), (quality[:, None], wanted["quality"])):
        assert np.abs(value.numpy() - published).max() / np.abs(published).max() < 2e-5


def test_training_can_start_from_the_recogniser(tmp_path):
    still = {**TRAINING, "epochs": 1, "lr": 0.0, "pretrained": True}
    model = train_cr_fiqa(training_faces(4, 8), trained_recogniser(), still, tmp_path / "run.pt")
    for mine, theirs in zip(model.backbone.network.parameters(), trained_recogniser().network.parameters()):
        assert torch.equal(mine, theirs)
