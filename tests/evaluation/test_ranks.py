"""Rank correlations against scipy, and what counts as a cause."""
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fiqa_core.evaluation.ranks import causes, harm, kendall, spearman


def test_correlations_are_those_of_scipy_without_the_gaps():
    x, y = np.random.default_rng(0).integers(0, 9, (2, 60)).astype(float)
    x[3], y[7] = np.nan, np.nan
    whole = ~np.isnan(x + y)
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x[whole], y[whole]).statistic)
    assert kendall(x, y) == pytest.approx(stats.kendalltau(x[whole], y[whole]).statistic)


@pytest.mark.parametrize("x", [[1, 2], [2, 2, 2], [1, 1, np.nan], []])
def test_too_few_or_equal_values_have_no_correlation(x):
    for correlation in (spearman, kendall):
        assert np.isnan(correlation(x, range(len(x)))) and np.isnan(correlation(range(len(x)), x))


def test_causes_vary_and_count_by_their_size():
    images = pd.DataFrame({"image_id": ["a", "b"], "yaw": [-30.0, 10], "jpeg": [100.0, 40], "hat": [0, 0],
                           "resolution": [112.0, 28], "light_level": [0.5, 2], "subset": [0, 1]})
    found = causes(images)
    assert list(found) == ["yaw", "jpeg", "resolution", "light_level"]
    assert found.to_numpy().tolist() == [[30, 100, 112, 0.5], [10, 40, 28, 2]]
    assert harm(images).to_numpy().tolist() == [[30, 0, 0, 1], [10, 60, 2, 1]]      # from the harmless value
