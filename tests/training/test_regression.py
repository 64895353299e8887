"""FaceQnet, SDD-FIQA, PCNet, LightQNet's rule: trunks, caches, training resumed, what trained ones tell."""
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet, empty_pairs
from fiqa_core.base.images import to_batch
from fiqa_core.methods.faceqnet import FaceQnet, train_faceqnet
from fiqa_core.methods.lightqnet import train_lightqnet
from fiqa_core.methods.pcnet import PCNet, train_pcnet
from fiqa_core.methods.sdd_fiqa import SDDFIQA, from_official, train_sdd_fiqa
from fiqa_core.recognisers.recogniser import Recogniser
from fiqa_core.recognisers.trunk import image_batch, trunk_of, unit_embeddings, views
from fiqa_core.recognisers.zoo import recogniser_from_catalogue, recogniser_from_config
from fiqa_core.training import fitting
from fiqa_core.training.people import codes_of, genuine_pairs
from fiqa_core.training.recogniser import train_recogniser
from fiqa_core.training.regression import fit_regression, raw_scores
from tests.helpers.small_networks import faces as random_faces
from tests.helpers.small_networks import recogniser

NETWORK = {"network": "iresnet", "name": "toy", "blocks": [1, 1, 1], "widths": [16, 16, 32], "size": 56,
           "stem_stride": 2, "embedding": 32, "head": "cosface", "scale": 16, "margin": 0.2, "epochs": 5,
           "batch": 32, "lr": 0.1, "seed": 3}


class Student(nn.Module):
    """A network for LightQNet's rule."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.AvgPool2d(4), nn.Conv2d(3, 16, 3, 2), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3, 2),
            nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 1),
            nn.Sigmoid())

    def columns(self, images):
        return self.layers(images)

    @torch.no_grad()
    def forward(self, images):
        return self.columns(images)[:, -1]


def train_student(faces, recogniser, config=None, checkpoint=None, device="cpu", log=None):
    student = fitting.untrained(Student, seed=3)
    return train_lightqnet(faces, recogniser, config, checkpoint, device, log, student)


def patterns(severity, people, seed=0):
    """Faces of `people`, each a coloured pattern of its own; a share `severity` (N,) of a side is covered.

    The cover is grey, has a pattern that no other image has, and lies anywhere.
    """
    generator, count = torch.Generator().manual_seed(seed + 1), len(severity)
    own = torch.rand(people, 3, 10, 10, generator=torch.Generator().manual_seed(0))
    person = torch.arange(count) % people
    cover = torch.rand(count, 1, 10, 10, generator=generator)
    side = torch.as_tensor(severity, dtype=torch.float32)[:, None, None]
    corner = (1 - side) * torch.rand(count, 2, 1, generator=generator)
    line = torch.arange(112) / 112
    rows, columns = ((line >= corner) & (line < corner + side)).unbind(1)
    covered = (rows[:, :, None] & columns[:, None])[:, None]
    pictures = torch.where(covered, enlarged(cover), enlarged(own)[person])
    pictures = pictures + 0.03 * torch.randn(pictures.shape, generator=generator)
    names = [f"{row:04d}" for row in range(count)]
    images = pd.DataFrame({"image_id": names, "identity": [f"person{code:02d}" for code in person],
                           "template_id": names, "media_id": names, "crossfit": -1, "severity": severity})
    pixels = (pictures.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return FaceSet("training", pixels, images, empty_pairs())


def enlarged(coarse):
    return nn.functional.interpolate(coarse, (112, 112), mode="bicubic")


def training_faces(people, each):
    return patterns(np.random.default_rng(0).uniform(0, 0.9, people * each), people)


def good_faces(faces):
    """Those that a recogniser is trained on, so that it does not expect the bad ones."""
    good = (faces.images["severity"] < 0.55).to_numpy()
    return FaceSet("training", faces.pixels[good], faces.images[good].reset_index(drop=True), faces.pairs)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A recogniser of the patterns, and what each method learns from it."""
    faces = training_faces(20, 10)
    folder = tmp_path_factory.mktemp("recogniser")
    network = train_recogniser(good_faces(faces), NETWORK, folder / "run.pt", "cpu")
    fast = {"epochs": 5, "validation": 0.15}
    pairs = {**fast, "people": 4, "each": 8}
    return faces, network, {
        "faceqnet": train_faceqnet(faces, network, {**fast, "epochs": 20, "head_lr": 3e-3, "batch": 32}),
        "sdd_fiqa": train_sdd_fiqa(faces, network, {**fast, "rounds": 3, "batch": 16, "head_lr": 0.03,
                                                    "backbone_lr": 1e-3}),
        "pcnet": train_pcnet(faces, network, {**pairs, "head_lr": 1e-2, "backbone_lr": 1e-3}),
        "lightqnet": train_student(faces, network, {**pairs, "epochs": 10, "optimiser": "adam"})}


METHODS = ("faceqnet", "sdd_fiqa", "pcnet", "lightqnet")


@pytest.mark.parametrize("name", METHODS)
def test_spoilt_faces_score_lower(trained, name):
    """The safe statements of the dossier's section 10.3, on new images of the persons."""
    method = trained[2][name]
    levels = [method(to_batch(patterns(np.full(40, level), 20, seed=5).pixels)) for level in (0.0, 0.45, 0.9)]
    assert levels[2].mean() < levels[1].mean() < levels[0].mean()
    assert (levels[2] < levels[0]).float().mean() > 0.5


@pytest.mark.parametrize("name", METHODS)
def test_the_worse_face_tells_the_similarity(trained, name):
    """Spearman of min(q_i, q_j) and the cosine over genuine pairs."""
    faces, network, methods = trained
    scores = methods[name](to_batch(faces.pixels)).numpy()
    cosines = unit_embeddings(network, faces.pixels)
    i, j = (side.numpy() for side in genuine_pairs(torch.from_numpy(codes_of(faces.images["identity"]))))
    worse = np.minimum(scores[i], scores[j])
    assert spearmanr(worse, (cosines[i] * cosines[j]).sum(1))[0] > 0.3


def test_keys_and_size_of_the_released_sdd_fiqa_head():
    model = SDDFIQA(recogniser_from_catalogue("iresnet18"))     # maps as large as of the released IR-50
    released = {"1.weight": 25088, "3.weight": (1, 25088), "3.bias": 1}
    state = from_official({f"module.quality.{key}": torch.zeros(shape) for key, shape in released.items()})
    assert model.head.load_state_dict({key.removeprefix("head."): value for key, value in state.items()})
    assert sum(p.numel() for p in model.head.parameters()) == 2 * 25088 + 1
    assert list(from_official({"module.body.3.shortcut_layer.1.bias": 0})) == \
        ["trunk.network.body.3.shortcut_layer.1.bias"]


@pytest.mark.parametrize("name", ["iresnet18", "insightface_vit_t", "mobilefacenet_xiaoccer",
                                  "mobilefacenet_foamliu", "mobilefacenet_ediffiqa"])
def test_trunks_of_the_catalogue(name):
    trunk = trunk_of(recogniser_from_catalogue(name).eval())
    sizes = {"iresnet18": 25088, "insightface_vit_t": 144 * 256}
    assert trunk.embedding_size == sizes.get(name, 512)


@pytest.mark.parametrize("family", [
    {"network": "iresnet", "blocks": [1, 1], "widths": [16, 16], "size": 56, "stem_stride": 2,
     "embedding": 8},
    {"network": "transface", "width": 16, "depth": 1, "heads": 2, "patch": 14, "size": 56, "embedding": 8},
    {"network": "swin", "width": 16, "depths": [1, 1], "heads": [1, 2], "patch": 7, "window": 4, "size": 56,
     "embedding": 8}], ids=lambda family: family["network"])
def test_the_trunk_gives_what_the_embedding_layers_see(family):
    torch.manual_seed(0)
    whole = recogniser_from_config({**family, "colour": "bgr", "mean": 0.4}).freeze()
    network = whole.network
    after = nn.Sequential(network.fc, network.features) if family["network"] == "iresnet" else network.feature
    images = random_faces(2)
    torch.testing.assert_close(after(trunk_of(whole)(images)), whole(images), atol=1e-5, rtol=1e-4)


def test_a_network_without_known_embedding_layers_has_no_trunk():
    with pytest.raises(FiqaError):
        trunk_of(Recogniser(nn.Conv2d(3, 16, 3), 16))


def test_views_are_the_faces_and_their_mirror_images():
    network, pixels = recogniser(), training_faces(3, 3).pixels
    both, images = views(network, pixels), to_batch(pixels)
    torch.testing.assert_close(both[:, 0], network(images))
    torch.testing.assert_close(both[:, 1], network(images.flip(3)))
    batch = image_batch(pixels, np.array([4, 1]), np.array([True, False]))
    assert torch.equal(batch, torch.stack([images[4].flip(2), images[1]]))


def test_cached_features_score_as_the_images():
    torch.manual_seed(0)
    model, pixels = FaceQnet(recogniser()), training_faces(3, 3).pixels
    rows, mirrored = np.array([4, 1, 7]), np.array([True, False, True])
    cached, live = (raw_scores(model, pixels, {"trained_tensors": count}, "cpu") for count in (0, 1))
    torch.testing.assert_close(cached(rows, mirrored), live(rows, mirrored))


def test_a_frozen_trunk_stays_as_it_is():
    faces, network = training_faces(6, 4), recogniser()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    model = FaceQnet(network)
    trunk = {key: value.clone() for key, value in model.trunk.state_dict().items()}
    head = model.head[0].weight.clone()
    fit_regression(model, faces, np.linspace(0, 1, 24), {"epochs": 3, "batch": 8})
    assert all(torch.equal(value, model.trunk.state_dict()[key]) for key, value in trunk.items())
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in before.items())
    assert not torch.equal(head, model.head[0].weight)


def test_the_limits_of_the_scores():
    images = random_faces(2)
    for build, low, high in ((FaceQnet, 0, 1), (PCNet, 0, 1), (SDDFIQA, -1e3, 1e3)):
        model = build(recogniser())
        for bias, limit in ((-1e3, low), (1e3, high)):
            nn.init.constant_(model.head[-1].bias, bias)
            assert model(images).tolist() == pytest.approx([limit] * 2, abs=50 if build is SDDFIQA else 0)


def test_a_trained_trunk_keeps_its_batch_statistics():
    faces, model = training_faces(6, 4), SDDFIQA(recogniser())
    before = {key: value.clone() for key, value in model.trunk.state_dict().items()}
    fit_regression(model, faces, np.linspace(0, 100, 24), {"epochs": 1, "trained_tensors": 3})
    changed = {key for key, value in model.trunk.state_dict().items() if not torch.equal(value, before[key])}
    names = [f"network.{key}" for key, _ in model.trunk.network.named_parameters()]
    assert changed == set(names[-3:])


def test_training_starts_at_the_mean_label_and_leaves_out_what_has_none():
    faces, labels = training_faces(4, 4), np.full(16, np.nan)
    labels[:8] = np.linspace(60, 80, 8)
    model = fit_regression(SDDFIQA(recogniser()), faces, labels, {"epochs": 0, "validation": 0})
    assert model.head[-1].bias.item() == pytest.approx(70)
    model = fit_regression(SDDFIQA(recogniser()), faces, labels, {"epochs": 1, "validation": 0})
    assert torch.isfinite(model(to_batch(faces.pixels))).all()


def test_the_best_epoch_is_kept(monkeypatch, tmp_path):
    values, kept, end = iter([0.3, 0.1, 0.2]), [], fitting._end_period

    def remember(state, row, number, networks, label):
        kept.append(networks["model"].head[-1].bias.item())
        end(state, row, number, networks, label)

    monkeypatch.setattr(fitting, "validation_loss", lambda loss, batches: next(values))
    monkeypatch.setattr(fitting, "_end_period", remember)
    model = fit_regression(FaceQnet(recogniser()), training_faces(4, 4), np.linspace(0, 1, 16),
                           {"epochs": 3, "batch": 4, "validation": 0.25}, log=tmp_path / "log.csv")
    assert model.head[-1].bias.item() == kept[1] != kept[2]
    log = pd.read_csv(tmp_path / "log.csv")
    assert list(log["epoch"]) == [1, 2, 3] and list(log["validation_loss"]) == [0.3, 0.1, 0.2]


def test_bad_input_is_refused():
    faces, network = training_faces(4, 3), recogniser()
    labels = np.linspace(0, 1, 12)
    for config in ({"epoch": 3}, {"optimiser": "other"}, {"loss": "other"}, {"validation": 1.0}):
        with pytest.raises(FiqaError):
            fit_regression(FaceQnet(network), faces, labels, config)
    with pytest.raises(FiqaError):
        train_pcnet(faces, network, {"each": 1})
    for unfit in (labels[:-1], np.full(12, np.nan)):
        with pytest.raises(FiqaError):
            fit_regression(FaceQnet(network), faces, unfit)
    with pytest.raises(FiqaError):
        fit_regression(FaceQnet(network), faces, labels, {"head_lr": 1e30, "clip": 1e30, "batch": 4})
    bare = FaceSet("training", faces.pixels, faces.images.drop(columns="severity"), faces.pairs)
    with pytest.raises(FiqaError):
        train_faceqnet(bare, network)
    alone = faces.images.assign(identity=faces.images["image_id"])
    strangers = FaceSet("training", faces.pixels, alone, faces.pairs)
    for train in (train_faceqnet, train_sdd_fiqa, train_pcnet, train_student):
        with pytest.raises(FiqaError):
            train(strangers, network)
