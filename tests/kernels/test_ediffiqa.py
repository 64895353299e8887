"""DifFIQA(R) and eDifFIQA: published keys, labels and losses by hand, training resumed and best."""
import numpy as np
import pandas as pd
import pytest
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet, empty_pairs
from fiqa_core.kernels import ediffiqa
from fiqa_core.kernels.diffiqa import DifFIQAR
from fiqa_core.kernels.ediffiqa import EDifFIQA, QualityMLP, class_centres, losses, min_max, optimised_labels
from fiqa_core.loading import load_quality, save_quality
from fiqa_core.methods.cr_fiqa import CRFIQA, CRFIQANetwork
from fiqa_core.recognisers.zoo import recogniser_from_config
from fiqa_core.training import distillation
from fiqa_core.training.distillation import distil, train_distilled, validation_rows
from fiqa_core.training.fitting import trained_parameters
from tests.helpers.small_networks import faces, recogniser


def test_head_by_hand():
    """One hidden unit: w2 gelu(w1 . e + b1) + b2, with the exact GELU."""
    head = QualityMLP(2, 1)
    head.load_state_dict(
        {
            "l1.weight": torch.tensor([[1.0, 2.0]]),
            "l1.bias": torch.tensor([0.5]),
            "l2.weight": torch.tensor([[3.0]]),
            "l2.bias": torch.tensor([-1.0]),
        }
    )
    normal = torch.distributions.Normal(0, 1).cdf(torch.tensor(1.5)).item()
    assert head(torch.tensor([[1.0, 0.0]])).item() == pytest.approx(3 * 1.5 * normal - 1, abs=1e-6)


def test_scores_and_embeddings_of_one_pass():
    network = recogniser()
    images = faces(3)
    for model in (DifFIQAR(network), EDifFIQA(network)):
        embedding, score = model.embed_and_score(images)
        torch.testing.assert_close(embedding, network(images))
        assert score.shape == (3,) and torch.equal(score, model(images))
        torch.testing.assert_close(score, model.parts()[1](embedding)[:, 0])


def test_cr_fiqa_is_its_bare_network_on_images_in_minus_one_to_one():
    torch.manual_seed(0)
    sizes = {"blocks": (1, 1), "widths": (16, 16), "size": 112, "embedding": 8}
    network = CRFIQANetwork(**sizes).eval()
    model, images = CRFIQA(recogniser_from_config({"network": "iresnet", **sizes})), faces(3)
    model.load_state_dict(network.state_dict())
    embedding, quality = network(2 * images - 1)
    torch.testing.assert_close(model(images), quality[:, 0])
    torch.testing.assert_close(quality, network.qs(embedding))
    torch.testing.assert_close(model.embed_and_score(images)[0], embedding)
    assert set(model.state_dict()) == set(network.state_dict())


def test_state_dicts_hold_the_networks_keys():
    """Files of weights know nothing of the preparation around a network."""
    for model, prefixes in ((DifFIQAR(recogniser()), {"base", "linear"}),
                            (EDifFIQA(recogniser()), {"base_model", "mlp"})):
        assert {key.partition(".")[0] for key in model.state_dict()} == prefixes
        changed = {key: value + 1 for key, value in model.state_dict().items()}
        model.load_state_dict(changed)
        assert all(torch.equal(value, changed[key]) for key, value in model.network.state_dict().items())


def test_preparation_is_the_recognisers():
    network = recogniser()
    network.colour, network.mean, network.std = "bgr", torch.full((1, 1, 1), 0.4), torch.full((1, 1, 1), 0.3)
    images = faces(2)
    torch.testing.assert_close(EDifFIQA(network).embed_and_score(images)[0], network(images))


def test_the_second_role_and_files_that_do_not_fit(tmp_path):
    images, network = faces(2), recogniser()
    save_quality(EDifFIQA(network), "ediffiqa_s", network, tmp_path / "ediffiqa_s.pt")
    again = load_quality("ediffiqa_s", tmp_path / "ediffiqa_s.pt").as_recogniser()
    assert torch.equal(again(images), network(images))
    torch.save({"linear.weight": torch.zeros(1, 512)}, tmp_path / "short.pt")
    for name in ("absent.pt", "short.pt"):
        with pytest.raises(FiqaError):
            load_quality("diffiqa_r", tmp_path / name)


def test_labels_by_hand():
    assert min_max(np.array([0.2, 0.4, 0.3])).tolist() == pytest.approx([0, 1, 0.5])
    for unfit in ([0.5, 0.5], [0.1, np.nan]):
        with pytest.raises(FiqaError):
            min_max(np.array(unfit))
    e = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-1.0, 0.0]])
    centre = torch.tensor([[2.0, 0.0]]).expand(3, -1)  # cosines 1, 0, -1
    q = torch.tensor([0.9, 0.7, 0.6])
    assert optimised_labels(q, e, centre, 0.5).tolist() == pytest.approx([0.9, 0.2, 0.0])
    assert optimised_labels(q, e, centre, 0.5, "paper").tolist() == pytest.approx([0.4, 0.7, 1.1])


def test_validation_takes_every_tenth_of_the_sorted_list():
    scores = np.random.default_rng(0).permutation(30) / 30
    assert sorted(scores[validation_rows(scores, 0.1)] * 30) == pytest.approx([0, 10, 20])
    assert len(validation_rows(scores, 0)) == 0


def test_class_centres_by_hand():
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [4.0, 4.0], [8.0, 8.0], [2.0, 2.0]])
    identities = ["a", "a", "a", "b", "b"]
    scores = np.array([1.0, 0.9, 0.1, 0.8, 0.2])
    centres, rows = class_centres(embeddings, identities, scores, beta=0.5, min_images=2)  # rank 2: 0.8
    assert centres.tolist() == [[0.5, 0.5]] and rows.tolist() == [0, 0, 0, -1, -1]
    centres, rows = class_centres(embeddings, identities, scores, beta=0.5, min_images=1)
    assert centres.tolist() == [[0.5, 0.5], [8.0, 8.0]] and rows.tolist() == [0, 0, 0, 1, 1]
    with pytest.raises(FiqaError):
        class_centres(embeddings, identities, scores, beta=0.5, min_images=3)


def test_both_losses_by_hand():
    class Fixed:
        def features(self, images):
            return torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0.5, 0.1])

    labels, targets = torch.tensor([1.0, 0.8]), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    whole, kept, quality = losses(Fixed(), None, labels, targets, targets,
                                  {"epsilon": 0.5, "variant": "reference", "theta": 0.25})
    assert kept.item() == pytest.approx(0.5)  # cosines 1 and 0
    assert quality.item() == pytest.approx((0.5 + 0.2) / 2)  # labels 1.0 and 0.8 - 0.5
    assert whole.item() == pytest.approx(0.25 * 0.5 + 0.75 * 0.35)
    whole, kept, quality = losses(Fixed(), None, labels)
    assert whole.item() == quality.item() == pytest.approx((0.5 + 0.7) / 2) and kept.item() == 0


def test_only_the_head_and_the_last_tensors_are_trained():
    model = EDifFIQA(recogniser())
    groups = trained_parameters(model, {**ediffiqa.PAPER, "trained_tensors": 3})
    backbone = list(model.network.base_model.parameters())
    assert [p.requires_grad for p in backbone] == [False] * (len(backbone) - 3) + [True] * 3
    assert (
        [g["lr"] for g in groups] == [1e-3, 1e-4]
        and len(groups[0]["params"]) == 4
        and len(groups[1]["params"]) == 3
    )


def training_data(count=24):
    """Faces whose score is their brightness, of four identities, and these scores."""
    images = (faces(count) * torch.linspace(0.2, 1, count)[:, None, None, None]).permute(0, 2, 3, 1)
    pixels = (images.numpy() * 255).round().astype(np.uint8)
    names = [f"image{row:02d}" for row in range(count)]
    table = pd.DataFrame({"image_id": names, "identity": [f"person{row % 4}" for row in range(count)],
                          "template_id": names, "media_id": names, "crossfit": -1})
    return FaceSet("training", pixels, table, empty_pairs()), pixels.mean((1, 2, 3)) / 255


SMALL = dict(epochs=3, batch=6, min_images=1, validation=0.2, backbone_lr=1e-3, head_lr=5e-3)


@pytest.mark.parametrize("kind", [DifFIQAR, EDifFIQA])
def test_training_learns_and_leaves_the_recogniser_alone(kind, tmp_path):
    network = recogniser()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    torch.manual_seed(0)
    model = distil(kind(network), *training_data(), {**SMALL, "epochs": 12}, log=tmp_path / "log.csv")
    log = np.genfromtxt(tmp_path / "log.csv", delimiter=",", names=True)
    assert log["quality_loss"][-1] < log["quality_loss"][0] and len(log) == 12
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert not model.training and not any(p.requires_grad for p in model.parameters())


def test_the_best_epoch_is_kept(monkeypatch):
    values, kept = iter([0.3, 0.1, 0.2]), []

    def validate(model, *_):
        kept.append({key: value.clone() for key, value in model.state_dict().items()})
        return next(values)

    monkeypatch.setattr(distillation, "absolute_error", validate)
    model = distil(DifFIQAR(recogniser()), *training_data(), SMALL)
    state = model.state_dict()
    assert all(torch.equal(state[key], kept[1][key]) for key in state)
    assert not torch.equal(kept[1]["linear.weight"], kept[2]["linear.weight"])


def test_a_new_head_is_drawn_with_the_seed_alone():
    faces, scores = training_data()
    faces.images["label"] = scores
    heads = [train_distilled(EDifFIQA, faces, recogniser(), {**SMALL, "epochs": 0, "seed": seed}).parts()[1].l1.weight
             for seed in (1, 1, 2)]
    assert heads[0].equal(heads[1]) and not heads[0].equal(heads[2])


@pytest.mark.parametrize("kind, shorter, config", [(DifFIQAR, 1, {}), (EDifFIQA, 0, {"variant": "other"}),
                                                   (DifFIQAR, 0, {"validation": 1.0}), (DifFIQAR, 0, {"step": 1})])
def test_bad_input_is_refused(kind, shorter, config):
    faces, scores = training_data()
    with pytest.raises(FiqaError):
        distil(kind(recogniser()), faces, scores[shorter:], {**SMALL, **config})
