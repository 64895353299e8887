"""What millions of pairs need gives the numbers of the plain way."""
import dataclasses

import numpy as np
import pytest

from fiqa_core.base.errors import FiqaError
from fiqa_core.evaluation import edc_large
from fiqa_core.evaluation.edc import edc


def test_ranks_sort_as_comparisons_do(monkeypatch):
    monkeypatch.setattr(edc_large, "RADIX", 10)
    generator = np.random.default_rng(0)
    for values in (generator.integers(0, 9, 500) / 7, generator.standard_normal(500),
                   np.array([0.0, -0.0] * 9), np.append(generator.random(50), [-np.inf] * 5),
                   generator.random(70_000)):
        assert np.array_equal(edc_large.stable_order(values), np.argsort(values, kind="stable"))


@pytest.mark.parametrize("least", [1, 40, 10_000])
@pytest.mark.parametrize("takes", ["at random", "the highest impostors first"])
def test_the_highest_impostors_give_the_whole_curve(monkeypatch, least, takes):
    monkeypatch.setattr(edc_large, "LEAST", least)
    monkeypatch.setattr(edc_large, "MARGIN", 1)
    generator = np.random.default_rng(3)
    genuine = generator.random(4000) < 0.1
    similarity = np.round(0.3 * generator.standard_normal(4000) + 0.7 * genuine, 2)  # with ties and beyond 1
    quality = (
        generator.integers(0, 30, 4000) / 10 if takes == "at random" else np.where(genuine, 1.0, -similarity)
    )
    quality[generator.random(4000) < 0.01] = np.inf
    used = generator.random(4000) < 0.9
    expected = edc(similarity[used], genuine[used], quality[used], "paper", 1e-2)
    got = edc_large.JointDiscard(similarity, genuine, 1e-2).curve(edc_large.discard_levels(quality, used),
                                                                  int(used.sum()), 0)
    for field in dataclasses.fields(expected):
        pair = getattr(expected, field.name), getattr(got, field.name)
        assert np.array_equal(*pair, equal_nan=field.type is np.ndarray)
    with pytest.raises(FiqaError, match="impostor pairs are too few for preset paper at fmr 1e-05"):
        edc_large.JointDiscard(similarity, genuine, 1e-5).curve(edc_large.discard_levels(quality, used),
                                                                int(used.sum()), 0)
