"""The training loop: it learns, it logs, and an interrupted run ends as an uninterrupted one."""
import numpy as np
import pandas as pd
import pytest
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet, empty_pairs
from fiqa_core.loading import load_recogniser, save_recogniser
from fiqa_core.recognisers.heads import HEADS
from fiqa_core.recognisers.recogniser import embed
from fiqa_core.training.recogniser import augment, mirror_half, one_cycle, train_recogniser
from tests.helpers.interruption import check_interruption

IRESNET = {"network": "iresnet", "name": "toy", "blocks": [1, 1, 1], "widths": [16, 16, 16], "size": 56,
           "stem_stride": 2, "embedding": 16, "dropout": 0.2, "head": "cosface", "scale": 16, "margin": 0.2,
           "epochs": 3, "batch": 16, "lr": 0.1, "seed": 1}
VIT = {"network": "transface", "width": 16, "depth": 1, "heads": 2, "patch": 14, "size": 56, "embedding": 16,
       "dropout": 0.1, "drop_path": 0.1, "head": "transface", "scale": 16, "margin": 0.2, "epochs": 2,
       "batch": 16, "lr": 2e-3, "optimiser": "adamw"}


def patterns(identities=6, each=12, seed=0):
    """Training faces: every identity is a smooth pattern of its own, every image a noisy, dimmed copy."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.random((identities, 3, 7, 7), np.float32))
    fine = torch.nn.functional.interpolate(coarse, (112, 112), mode="bilinear").permute(0, 2, 3, 1).numpy()
    labels = np.repeat(np.arange(identities), each)
    noise = rng.normal(0, 0.05, (len(labels), 112, 112, 3))
    noisy = fine[labels] * rng.uniform(0.6, 1, (len(labels), 1, 1, 1)) + noise
    names = [f"image{index}" for index in range(len(labels))]
    images = pd.DataFrame({"image_id": names, "identity": [f"person{label}" for label in labels],
                           "template_id": names, "media_id": names, "crossfit": -1})
    return FaceSet("training", (noisy.clip(0, 1) * 255).astype(np.uint8), images, empty_pairs())


def test_training_tells_identities_apart_and_logs_it(tmp_path):
    faces = patterns()
    recogniser = train_recogniser(faces, IRESNET, tmp_path / "run.pt", "cpu", tmp_path / "log.csv")
    log = pd.read_csv(tmp_path / "log.csv")
    assert list(log.columns) == ["epoch", "step", "loss", "accuracy", "lr", "margin_strength"]
    assert list(log["epoch"]) == [1, 2, 3] and log["accuracy"].iloc[-1] > 0.9
    vectors = embed(recogniser, faces.pixels, "cpu", batch=24)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    same = faces.images["identity"].to_numpy()[:, None] == faces.images["identity"].to_numpy()
    similarity = vectors @ vectors.T
    assert similarity[same].mean() > similarity[~same].mean() + 0.4
    assert not recogniser.training and not any(p.requires_grad for p in recogniser.parameters())


@pytest.mark.parametrize("config", [IRESNET, VIT, {**IRESNET, "head": "adaface", "augmentation": 0.2},
                                    {**IRESNET, "head": "elasticface"}], ids=lambda config: config["head"])
def test_a_killed_run_resumes_and_ends_with_the_same_weights(tmp_path, monkeypatch, config):
    faces = patterns(4, 8)
    check_interruption(lambda state, log: train_recogniser(faces, config, state, "cpu", log), tmp_path, monkeypatch,
                       after=2)


@pytest.mark.parametrize("head", HEADS)
def test_every_head_trains(tmp_path, head):
    config = {**(VIT if head == "transface" else IRESNET), "head": head, "epochs": 1}
    if head == "magface":
        config.pop("margin"), config.update(magnitudes=[1, 20], margins=[0.1, 0.3])
    recogniser = train_recogniser(patterns(4, 8), config, tmp_path / "run.pt", "cpu")
    save_recogniser(recogniser, tmp_path / "saved.pt")
    pixels = patterns(2, 2).pixels
    np.testing.assert_array_equal(embed(load_recogniser("toy", tmp_path / "saved.pt"), pixels, "cpu"),
                                  embed(recogniser, pixels, "cpu"))


def test_a_swin_trains(tmp_path):
    config = {"network": "swin", "width": 16, "depths": [2, 1], "heads": [1, 2], "patch": 7, "window": 4,
              "size": 56, "embedding": 16, "head": "cosface", "scale": 16, "epochs": 1, "batch": 16,
              "lr": 1e-3, "optimiser": "adamw"}
    train_recogniser(patterns(4, 8), config, tmp_path / "run.pt", "cpu", tmp_path / "log.csv")
    assert np.isfinite(pd.read_csv(tmp_path / "log.csv")["loss"]).all()


def test_training_leaves_the_random_numbers_of_its_caller_alone(tmp_path):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    train_recogniser(patterns(4, 8), {**IRESNET, "epochs": 1}, tmp_path / "run.pt", "cpu")
    assert torch.equal(torch.rand(2), expected)


def test_a_state_of_another_configuration_is_not_continued(tmp_path, capsys):
    train_recogniser(patterns(4, 8), {**IRESNET, "epochs": 1}, tmp_path / "run.pt", "cpu")
    train_recogniser(patterns(4, 8), {**IRESNET, "epochs": 2}, tmp_path / "run.pt", "cpu", tmp_path / "log.csv")
    assert "starts anew" in capsys.readouterr().err and len(pd.read_csv(tmp_path / "log.csv")) == 2


@pytest.mark.parametrize("change, message", [({"head": "softface"}, "known heads"),
                                             ({"network": "resnext"}, "known families"),
                                             ({"lr": 1e9}, "diverged")])
def test_wrong_settings_are_named(tmp_path, change, message):
    with pytest.raises(FiqaError, match=message):
        train_recogniser(patterns(4, 8), {**IRESNET, **change}, tmp_path / "run.pt", "cpu")


def test_the_learning_rate_rises_linearly_and_falls_to_zero():
    rates = [one_cycle(part, 0.1) for part in np.linspace(0, 1, 101)]
    assert rates[0] < 0.02 and rates[10] == pytest.approx(1) and rates[-1] == pytest.approx(0, abs=1e-9)
    assert np.all(np.diff(rates[:11]) > 0) and np.all(np.diff(rates[10:]) < 0)


def test_augmentation_keeps_range_and_shape_and_follows_its_generator():
    images = torch.rand(8, 3, 112, 112, generator=torch.Generator().manual_seed(0))
    first, second = (augment(images, 0.5, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second) and first.shape == images.shape
    assert 0 <= first.min() and first.max() <= 1 and not torch.equal(first, images)
    assert augment(images, 0.0, torch.Generator()) is images


def test_half_of_the_images_are_mirrored():
    pixels = np.random.default_rng(0).integers(0, 256, (200, 4, 4, 3), dtype=np.uint8)
    mirrored = mirror_half(pixels.copy(), torch.Generator().manual_seed(0))
    turned = (mirrored == pixels[:, :, ::-1]).all((1, 2, 3))
    kept = (mirrored == pixels).all((1, 2, 3))
    assert (turned ^ kept).all() and 70 < turned.sum() < 130
