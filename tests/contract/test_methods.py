"""What every quality method promises, whatever it computes: over all that the registry finds."""
from functools import cache, partial
from inspect import signature

import pytest
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.loading import load_quality, save_quality
from fiqa_core.registry import collect, methods
from fiqa_core.training.distillation import train_distilled
from tests.helpers.degraded_faces import training_faces
from tests.helpers.interruption import check_interruption
from tests.helpers.small_networks import InFloat64, diffusion, exact_diffusion, faces, recogniser, trained

ALL = {slug: method for slug, method in methods().items() if not method.protocol}     # once each
MODELS = [slug for slug, method in ALL.items() if "model" in method.needs]
LEARNING = [slug for slug in MODELS if ALL[slug].training]
# Cheaper than the papers; a method that is not named here stands the test with its defaults.
OPTIONS = {"faceqan": {"repeats": 2, "iterations": 2}, "diffiqa": {"repeats": 2, "timestep": 2},
           "ser_fiq": {"repeats": 5, "dropout": 0.4}}
# Where a gradient's sign or a chain of steps makes rounding visible, the networks compute in float64.
EXACT = ("faceqan", "diffiqa")
# The shortest training that can be cut in the middle, and at which chance to save.
TRAINING = {
    "faceqnet": ({"batch": 6, "epochs": 3}, 4), "sdd_fiqa": ({"batch": 6, "rounds": 2, "trained_tensors": 4, "epochs": 3}, 4),
    "pcnet": ({"people": 2, "each": 3, "trained_tensors": 4, "epochs": 3}, 4), "pfe": ({"epochs": 4, "each": 4}, 3),
    "lightqnet": ({"width": "dm025", "people": 2, "each": 3, "epochs": 3}, 4),
    "cr_fiqa": ({"epochs": 2, "batch": 16, "scale": 16}, 2), "froq": ({"images": 40, "cell": 56, "draws": 1}, 2),
    "faceqgen": ({"size": 32, "widths": (8, 8), "critic": (8, 8), "steps": 6, "batch": 4, "log_every": 2}, 4),
    **dict.fromkeys(("diffiqa_r", "ediffiqa_t", "ediffiqa_s", "ediffiqa_m", "ediffiqa_l"),
                    ({"epochs": 3, "batch": 12, "min_images": 1, "validation": 0.2}, 4))}
IMAGES = torch.cat([faces(4), torch.zeros(1, 3, 112, 112), torch.ones(1, 3, 112, 112),
                    torch.rand(1, 3, 112, 112, generator=torch.Generator().manual_seed(0))])


def build(slug: str, **options):
    """A method on small networks, and the recogniser that it stands on."""
    if slug in MODELS:
        return trained(slug, **options)
    network, unet = recogniser(), diffusion()
    parts = {"recogniser": network, "diffusion": unet}
    if slug in EXACT:
        parts = {"recogniser": InFloat64(network), "diffusion": exact_diffusion()}
    return ALL[slug].build(*(parts[need] for need in ALL[slug].needs), **{**OPTIONS.get(slug, {}), **options}), network


method_of = cache(build)


@cache
def scores_of(slug: str) -> torch.Tensor:
    return method_of(slug)[0](IMAGES)


every_method = pytest.mark.parametrize("slug", ALL)


@every_method
def test_there_is_one_finite_score_per_image_and_always_the_same(slug):
    scores = scores_of(slug)
    assert scores.shape == (len(IMAGES),) and not scores.requires_grad
    assert scores.dtype == (torch.float64 if slug in EXACT else torch.float32)
    assert torch.isfinite(scores).all() and torch.equal(scores, method_of(slug)[0](IMAGES))
    assert len(set(scores[:4].tolist())) == 4


@every_method
def test_a_score_depends_neither_on_the_batch_nor_on_its_order(slug):
    method, scores = method_of(slug)[0], scores_of(slug)
    single = torch.cat([method(image[None]) for image in IMAGES])
    torch.testing.assert_close(single, scores, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(method(IMAGES.flip(0)).flip(0), scores, rtol=1e-4, atol=1e-5)
    if "budget" in signature(ALL[slug].build).parameters:       # one sample at a time
        torch.testing.assert_close(build(slug, budget=1)[0](IMAGES), scores, rtol=1e-4, atol=1e-5)


@every_method
def test_the_order_of_the_colours_counts(slug):
    assert not torch.allclose(method_of(slug)[0](IMAGES[:4].flip(1)), scores_of(slug)[:4], rtol=1e-6)


@every_method
def test_no_image_has_no_score_and_unfit_images_are_refused(slug):
    method = method_of(slug)[0]
    assert method(IMAGES[:0]).shape == (0,)
    for unfit in (IMAGES * 255, IMAGES - 0.5, IMAGES[..., :100], IMAGES[0], IMAGES.double(), IMAGES[:, :1],
                  torch.full_like(IMAGES, torch.nan)):
        with pytest.raises(FiqaError):
            method(unfit)


@every_method
def test_the_recogniser_stays_as_it_was(slug):
    method, network = build(slug)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    method(IMAGES[:2])
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters()) and not network.training
    assert not any(layer._forward_hooks for layer in network.modules())


@every_method
def test_what_it_says_of_itself_is_enough(slug):
    method = ALL[slug]
    assert method.name and set(method.needs) <= {"recogniser", "diffusion", "model"}
    costs = method.cost(OPTIONS.get(slug, {}), recogniser_pass())
    assert len(costs) == len(method.needs) and all(cost > 0 for cost in costs)
    assert set(method.paper) <= set(method.options())


def recogniser_pass():
    """What `Method.passes` is told of a recogniser."""
    return type("Pass", (), {"parameters": 1e6, "adds": 1e8})


@pytest.mark.parametrize("slug", MODELS)
def test_saved_and_loaded_it_is_frozen_and_scores_alike(slug, tmp_path):
    model, network = method_of(slug)
    save_quality(model, slug, network, tmp_path / "m.pt")
    torch.load(tmp_path / "m.pt", weights_only=True)            # plain data: nothing in it runs
    loaded = load_quality(slug, tmp_path / "m.pt")
    assert torch.equal(loaded(IMAGES), scores_of(slug))
    assert not loaded.training and not any(parameter.requires_grad for parameter in loaded.parameters())


@pytest.mark.parametrize("slug", LEARNING)
def test_an_interrupted_training_ends_as_one_that_ran_through(slug, tmp_path, monkeypatch):
    method, (config, after) = ALL[slug], TRAINING.get(slug, ({}, 2))
    train, data = method.train or partial(train_distilled, method.build), training_faces(6, 7)
    data.images["label"] = data.images["severity"]
    check_interruption(lambda state, log: train(data, recogniser((16, 16, 32, 32)), dict(config), state, "cpu", log),
                       tmp_path, monkeypatch, after)


@pytest.mark.parametrize("slug", LEARNING)
def test_an_option_that_a_training_does_not_have_is_refused(slug, tmp_path):
    method = ALL[slug]
    train, data = method.train or partial(train_distilled, method.build), training_faces(3, 2)
    data.images["label"] = data.images["severity"]
    with pytest.raises(FiqaError):
        train(data, recogniser(), {"no_such_option": 1}, tmp_path / "state.pt", "cpu", None)


def test_two_methods_of_one_slug_are_refused(tmp_path, monkeypatch):
    line = "from fiqa_core.base.method import Method\nMETHODS = [Method('a', 'A', lambda: abs)]\n"
    for name in ("first", "second"):
        (tmp_path / "twins" / f"{name}.py").parent.mkdir(exist_ok=True)
        (tmp_path / "twins" / f"{name}.py").write_text(line)
    (tmp_path / "twins" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    import twins
    with pytest.raises(FiqaError, match="two methods are called 'a'.*\n.*twins.second"):
        collect(twins)
