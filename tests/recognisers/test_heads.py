"""Loss heads against the official codes' values and gradients."""
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from fiqa_core.recognisers.heads import (HEADS, AdaFace, ArcFace, CosFace, CurricularFace, ElasticFace,
                                         MagFace, TransFace)

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "recogniser_losses.npz")
LABELS = torch.from_numpy(GOLDEN["labels"])
UNLIMITED = {"largest_loss": math.inf}
CASES = {
    "arcface_torch_arcface": ArcFace(32, 12),
    "arcface_torch_2021_arcface": ArcFace(32, 12, gradient="true", **UNLIMITED),
    "arcface_torch_cosface": CosFace(32, 12, margin=0.4),
    "arcface_torch_2021_cosface": CosFace(32, 12, margin=0.4, **UNLIMITED),
    "arcface_torch_cosface_filter02": CosFace(32, 12, margin=0.4, filtering=0.2),
    "curricularface_step1": CurricularFace(32, 12),
    "elasticface_arc": ElasticFace(32, 12),
    "elasticface_arc_plus": ElasticFace(32, 12, plus=True),
    "elasticface_cos": ElasticFace(32, 12, margin=0.35, kind="cos"),
    "elasticface_cos_plus": ElasticFace(32, 12, margin=0.35, kind="cos", plus=True),
    "adaface_step1": AdaFace(32, 12),
    "adaface_mean40_std25": AdaFace(32, 12, start=(40, 25)),
    "magface": MagFace(32, 12),
    "transface_ehsm_arcface": TransFace(32, 12),
}


def close(value, tag, tolerance=1e-5):
    wanted = GOLDEN[tag]
    np.testing.assert_allclose(value.detach().numpy(), wanted, rtol=0, atol=tolerance * np.abs(wanted).max())


def prepared(head, tag):
    """The head with the golden weights, and the golden margins where it draws them."""
    head.weight.data = torch.from_numpy(GOLDEN["weight"]).clone()
    head.zero_grad()
    if isinstance(head, ElasticFace):
        head.draw = lambda cosine: torch.from_numpy(GOLDEN[f"{tag}/drawn_margins"])[:, None]
    return head


def embeddings():
    return torch.from_numpy(GOLDEN["embeddings"]).clone().requires_grad_()


def loss_and_gradients_agree(head, tag):
    features = embeddings()
    spread = [torch.from_numpy(GOLDEN[f"{tag}/patch_std"])] if isinstance(head, TransFace) else []
    loss = prepared(head, tag)(features, LABELS, *spread)
    loss.backward()
    close(loss, f"{tag}/loss")
    close(features.grad, f"{tag}/grad_embeddings")
    close(head.weight.grad, f"{tag}/grad_weight")


@pytest.mark.parametrize("tag", CASES)
def test_losses_and_gradients_are_the_official_codes(tag):
    loss_and_gradients_agree(CASES[tag], tag)
    # In evaluation mode the states stand still, so the logits are those of the step just taken.
    close(CASES[tag].eval().logits(embeddings(), LABELS), f"{tag}/logits")


def test_states_move_as_in_the_official_codes():
    curricular, adaptive = CurricularFace(32, 12), AdaFace(32, 12)
    for step in ("step1", "step2"):
        loss_and_gradients_agree(curricular, f"curricularface_{step}")
        loss_and_gradients_agree(adaptive, f"adaface_{step}")
        close(curricular.t, f"curricularface_{step}/t")
        close(adaptive.batch_mean, f"adaface_{step}/batch_mean")
        close(adaptive.batch_std, f"adaface_{step}/batch_std")
    later = CurricularFace(32, 12)
    later.t.fill_(0.3)
    loss_and_gradients_agree(later, "curricularface_t03")


def test_magface_limits_magnitudes_and_pulls_them_up():
    head = prepared(MagFace(32, 12), "magface")
    close(head.magnitude(embeddings()), "magface/x_norm")
    without = MagFace(32, 12, penalty=0)
    without.weight.data = head.weight.data
    pull = (head(embeddings(), LABELS) - without(embeddings(), LABELS)).item() / 35
    assert pull == pytest.approx(GOLDEN["magface/loss_g"].item(), rel=1e-3)


@pytest.mark.parametrize("name", HEADS)
def test_without_its_margin_a_head_is_a_softmax_over_cosines(name):
    head = prepared(HEADS[name](32, 12), name) if name != "elasticface" else HEADS[name](32, 12)
    head.strength = 0.0
    # AdaFace keeps angles 1e-3 away from 0 and pi; CurricularFace scales negatives even without a margin.
    logits, plain = head.eval().logits(embeddings(), LABELS), 64 * head.cosines(embeddings())
    true = LABELS[:, None]
    torch.testing.assert_close(logits.gather(1, true), plain.gather(1, true), atol=2e-3, rtol=1e-4)
    if name != "curricularface":
        torch.testing.assert_close(logits, plain, atol=2e-3, rtol=1e-4)


def test_elasticface_draws_anew_every_step_and_repeats_with_the_seed():
    head = ElasticFace(32, 12)
    losses = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        losses.append(head(embeddings(), LABELS).item())
    assert losses[0] == losses[1] != losses[2]
