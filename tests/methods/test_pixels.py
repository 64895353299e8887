"""Reference lines: closed forms, scipy, and rendered faces whose cause is known."""
import numpy as np
import pytest
import torch
from scipy import ndimage

from fiqa_core.base.images import to_batch
from fiqa_core.methods.pixels import (COLUMNS, LUMA, ROWS, histogram, illumination,
                                      luminance, sharpness, symmetry)
from fiqa_core.rendering.identity import sample_identities
from fiqa_core.rendering.nuisance import neutral
from fiqa_core.rendering.renderer import render_faces
from tests.helpers.small_networks import faces

PERSONS = 6


@pytest.fixture(scope="module")
def people():
    return sample_identities(PERSONS, 5)


def table(**causes):
    """Nuisance of one image of each person: cause -> value; everything else harmless."""
    rows = neutral(PERSONS)
    rows["style"] = np.arange(PERSONS)
    for name, value in causes.items():
        rows[name] = float(value)
    return rows


def rendered(people, **causes):
    return to_batch(render_faces(people, np.arange(PERSONS), table(**causes))[0])


def grey(values):
    """An image (1, 3, 112, 112) whose luminance is `values`."""
    return torch.as_tensor(values, dtype=torch.float32).expand(1, 3, 112, 112).contiguous()


def test_sharpness_is_scipys_variance_of_the_laplacian():
    images = faces(3)
    for image, score in zip(images, sharpness(images)):
        y = np.tensordot(LUMA, image.double().numpy(), 1)[ROWS, COLUMNS]
        assert score.item() == pytest.approx(ndimage.laplace(y)[1:-1, 1:-1].var(), rel=1e-4)


def test_sharpness_falls_with_defocus(people):
    ladder = torch.stack([sharpness(rendered(people, defocus=sigma)) for sigma in (0, 0.7, 1.4, 2.8)])
    assert (ladder[1:] < ladder[:-1]).all()


def test_histogram_counts_every_value_once():
    values = torch.rand(2, 500, generator=torch.Generator().manual_seed(0))
    found = histogram(torch.cat((values, torch.ones(2, 1)), dim=1))
    wanted = [np.histogram(np.append(row.numpy(), 1), 32, (0, 1))[0] / 501 for row in values]
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-6)


def test_illumination_by_hand():
    # 8 of the 32 bins, equally filled
    stripes = np.arange(112)[:, None] % 8 / 8 + 1 / 16 + np.zeros((112, 112))
    assert illumination(grey(stripes)).item() == pytest.approx(np.log(8) / np.log(32), rel=1e-5)
    stripes[:, 56:] = np.roll(stripes[:, 56:], 1, axis=0)  # the same histogram in another order
    assert illumination(grey(stripes)).item() == pytest.approx(np.log(8) / np.log(32), rel=1e-5)
    halves = np.repeat([[0.3, 0.7]], 112, axis=0).repeat(56, axis=1)
    assert illumination(grey(halves)).item() == 0  # histograms of left and right have nothing in common
    half_common = np.where((np.arange(112)[:, None] % 2 == 0) & (np.arange(112) >= 56), 0.7, 0.3)
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)) / np.log(32)
    assert illumination(grey(half_common)).item() == pytest.approx(0.5 * entropy, rel=1e-5)
    assert illumination(grey(np.full((112, 112), 0.5))).item() == 0


def test_illumination_falls_with_light_from_the_side_and_in_the_dark(people):
    plain = illumination(rendered(people))
    for causes in ({"light_angle": 70}, {"light_angle": -70}, {"light_level": 0.08}):
        assert (illumination(rendered(people, **causes)) < plain).all(), causes


def test_symmetry_by_hand():
    image = faces(1)
    mirrored = torch.cat((image[..., :56], image[..., :56].flip(3)), dim=3)
    assert symmetry(mirrored).item() == pytest.approx(1, abs=1e-5)
    opposite = torch.cat((image[..., :56], 1 - image[..., :56].flip(3)), dim=3)
    assert symmetry(opposite).item() == pytest.approx(-1, abs=1e-5)
    shaded = mirrored * 0.5
    shaded[..., 56:] += 0.4  # one side brighter
    assert symmetry(shaded).item() == pytest.approx(1, abs=1e-5)
    assert symmetry(grey(np.full((112, 112), 0.5))).item() == 0


def test_symmetry_falls_with_yaw(people):
    means = [symmetry(rendered(people, yaw=yaw)).mean().item() for yaw in (0, 30, 60)]
    assert means[0] > means[1] > means[2], means


def test_luminance_weights_sum_to_one():
    assert luminance(grey(np.full((112, 112), 0.25)))[0, 5, 7].item() == pytest.approx(0.25)
