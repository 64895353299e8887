"""FaceQgen (re-interpretation): read-outs by closed forms and scipy, targets, training, resumption."""
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet, empty_pairs
from fiqa_core.base.images import to_batch
from fiqa_core.loading import load_strictly
from fiqa_core.methods.faceqgen import MEASURES, NAME, FaceQgen, ssim, target_rows, train_faceqgen
from fiqa_core.rendering.identity import sample_identities
from fiqa_core.rendering.nuisance import neutral
from fiqa_core.rendering.renderer import render_faces
from fiqa_core.weights.tensors import read_tensors
from tests.helpers.small_networks import faces

SMALL = dict(size=32, widths=[16, 16, 32], critic=[16, 16, 16])


def small(**options) -> FaceQgen:
    torch.manual_seed(0)
    return FaceQgen(**{**SMALL, **options})


def test_its_name_says_what_it_is():
    assert "re-interpretation" in NAME


def test_every_measure_stays_within_its_limits():
    images = faces(8)
    for measure in MEASURES:
        assert torch.equal(small(measure=measure)(images), small().readouts(images)[measure])
    extreme = torch.stack([torch.zeros(3, 112, 112), torch.ones(3, 112, 112)])
    found = small().readouts(extreme)
    assert all(torch.isfinite(values).all() for values in found.values())
    assert (found["mse"] >= 0).all() and (found["mse"] <= 1).all() and (found["ssim"].abs() <= 1).all()


def test_a_restoration_that_changes_nothing_is_perfect():
    method = small()
    method.generator = nn.Identity()
    found = method.readouts(faces(2))
    assert found["mse"].tolist() == [1, 1] and found["ssim"].tolist() == pytest.approx([1, 1], abs=1e-5)
    assert torch.equal(found["discriminator"], found["restored"])


def test_opposite_pictures_have_the_worst_error():
    method = small()
    method.generator = Negative()
    found = method.readouts(torch.stack([torch.zeros(3, 112, 112), torch.ones(3, 112, 112)]))
    assert found["mse"].tolist() == pytest.approx([0, 0], abs=1e-6)
    assert found["ssim"].tolist() == pytest.approx([-1, -1], abs=1e-3)  # of luminances -1 and 1, without detail


class Negative(nn.Module):
    def forward(self, x):
        return -x


def test_ssim_is_the_formula_with_scipys_gaussian():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-1, 1, (2, 20, 24))

    def mean(x):
        return gaussian_filter(x, 1.5, truncate=10 / 3)[5:-5, 5:-5]  # radius 5

    covariance = mean(a * b) - mean(a) * mean(b)
    spread = mean(a * a) - mean(a) ** 2 + mean(b * b) - mean(b) ** 2
    wanted = ((2 * mean(a) * mean(b) + 4e-4) * (2 * covariance + 36e-4)
              / ((mean(a) ** 2 + mean(b) ** 2 + 4e-4) * (spread + 36e-4))).mean()
    assert ssim(torch.tensor(a)[None], torch.tensor(b)[None]).item() == pytest.approx(wanted, abs=1e-9)


def test_shapes_and_unfit_parameters():
    method = small()
    restored = method.generator(method.prepare(faces(2)))
    assert restored.shape == (2, 3, 32, 32) and restored.abs().max() <= 1
    for wrong in (dict(measure="psnr"), dict(size=36), dict(size=8, widths=[16]), dict(widths=[])):
        with pytest.raises(FiqaError):
            small(**wrong)


def test_other_files_are_refused(tmp_path):
    method = small()
    path = tmp_path / "FaceQnet.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))  # the file the official repository offers as FaceQgen
    with pytest.raises(FiqaError):
        read_tensors(path)
    state = method.state_dict()
    missing = {key: value for key, value in state.items() if key != "discriminator.linear.bias"}
    for wrong in (missing, {**state, "classifier.weight": torch.zeros(1, 2048)},
                  {**state, "discriminator.linear.bias": torch.zeros(2)}):
        with pytest.raises(FiqaError):
            load_strictly(method, wrong, "FaceQgen")
    again = FaceQgen(**SMALL)
    load_strictly(again, state, "FaceQgen")
    assert torch.equal(again(faces(2)), method(faces(2)))


def test_targets_are_the_best_pictures_of_the_same_person():
    images = pd.DataFrame({"identity": list("babcaa"), "severity": [0.5, 0.3, 0.2, 0.9, 0.1, 0.1]})
    assert target_rows(images).tolist() == [2, 4, 2, 3, 4, 4]
    assert target_rows(images[["identity"]]).tolist() == [0, 1, 0, 3, 1, 1]


# --- training ----------------------------------------------------------------------------------------

CAUSES = ({}, {"defocus": 3.5}, {"noise": 60}, {"mask": 1.0}, {"yaw": 60}, {"bar": 0.5})


def rendered(persons: int, seed: int) -> FaceSet:
    """Every person once clean and once under each cause."""
    table = neutral(persons * len(CAUSES))
    who, case = np.divmod(np.arange(len(table)), len(CAUSES))
    table["style"] = np.arange(len(table))
    for row in range(len(table)):
        for cause, value in CAUSES[case[row]].items():
            table.loc[row, cause] = float(value)
    pixels, _ = render_faces(sample_identities(persons, seed), who, table)
    names = [f"image{row}" for row in range(len(table))]
    images = pd.DataFrame({"image_id": names, "identity": [f"person{person}" for person in who],
                           "template_id": names, "media_id": names, "crossfit": -1,
                           "severity": (case > 0).astype(float)})
    return FaceSet("training", pixels, images, empty_pairs())


@pytest.fixture(scope="module")
def trained():
    """A small model after a few seconds of training, and faces of persons it has not seen."""
    config = {**SMALL, "steps": 500, "batch": 16, "learning_rate": 1e-3, "log_every": 50}
    return train_faceqgen(rendered(24, 1), None, config), rendered(10, 2)


def test_restoration_comes_closer_to_the_clean_face_than_the_degraded_one_is(trained):
    method, unseen = trained
    images = to_batch(unseen.pixels)
    x, target = method.prepare(images), method.prepare(images[torch.from_numpy(target_rows(unseen.images))])
    restored = method.generator(x)
    for cause in (3, 4, 5):                                             # mask, yaw, bar
        rows = slice(cause, None, len(CAUSES))
        before, after = ((picture[rows] - target[rows]).abs().mean() for picture in (x, restored))
        assert after < before, CAUSES[cause]


def test_degraded_faces_score_lower(trained):
    method, unseen = trained
    found = method.readouts(to_batch(unseen.pixels))
    for measure, causes in (("discriminator", (1,)), ("mse", (3, 5)), ("ssim", (2, 3, 5))):
        means = found[measure].view(-1, len(CAUSES)).mean(dim=0)
        assert all(means[cause] < means[0] for cause in causes), (measure, means)


def test_unfit_training_input_is_refused():
    training = rendered(1, 4)
    with pytest.raises(FiqaError):
        train_faceqgen(training, None, {"epochs": 3})
    empty = FaceSet("training", training.pixels[:0], training.images[:0], empty_pairs())
    with pytest.raises(FiqaError):
        train_faceqgen(empty, None, SMALL)
