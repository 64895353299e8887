"""Ranks and what is kept of them, against sorting and against all orders of what is tied."""
from itertools import combinations

import numpy as np
import pytest

from fiqa_core.evaluation import discard
from fiqa_core.evaluation.discard import (FAILED, LEVELS, UNSCORED, Levels, counted, discard_steps,
                                          pair_ranks, ranks)


@pytest.mark.parametrize("many", [0, 100])
def test_ranks_by_hand(monkeypatch, many):
    monkeypatch.setattr(discard, "MANY", many)                           # hashed, sorted
    assert ranks([.5, np.nan, -np.inf, .1, .5]).tolist() == [2, UNSCORED, FAILED, 1, 2]
    assert ranks([0., -0., 3, np.inf]).tolist() == [1, 1, 2, 3] and ranks([]).tolist() == []
    assert ranks([np.nan, np.nan]).tolist() == [UNSCORED] * 2


@pytest.mark.parametrize("chunk", [1, 7, 10**6])
def test_pairs_have_the_rank_of_their_lower_quality(monkeypatch, chunk):
    monkeypatch.setattr(discard, "CHUNK", chunk)
    generator = np.random.default_rng(0)
    quality = generator.integers(0, 9, 40) / 7
    quality[:4], quality[4:6] = -np.inf, np.nan
    a, b = generator.integers(40, size=(2, 300))
    pairs, lower = pair_ranks(ranks(quality), a, b), np.minimum(quality[a], quality[b])
    assert np.array_equal(pairs, ranks(lower)) and np.array_equal(pairs == UNSCORED, np.isnan(lower))
    errors = generator.random(300) < .2
    for number, chosen in zip(counted(pairs, 11, errors), (np.ones(300, bool), errors)):
        assert number.tolist() == [np.sum(chosen & (pairs == rank)) for rank in range(11)]


def test_pairs_of_one_rank_leave_together():
    errors = np.array([.9, .1, .8, .2, .7, .3, .6, .95]) < .5
    for unscored in (0, 3):                                              # pairs that are none of the list
        rank = np.append(ranks([1, 1, 2, 2, 2, 3, 4, 4]), np.full(unscored, UNSCORED))
        steps = discard_steps(np.append(errors, np.ones(unscored, bool)), rank)
        assert steps[0].tolist() == [0, .25, .625, .75] and np.allclose(steps[1], [.375, 1 / 3, 1 / 3, 0])


def test_levels_keep_what_all_orders_of_the_tied_pairs_keep_on_average():
    generator = np.random.default_rng(1)
    rank, genuine = generator.integers(-1, 4, 23), generator.random(23) < .5
    chosen = generator.random((20, 23)) < .5
    levels = Levels(rank, genuine)
    kept, used = levels.kept(rank, chosen), np.flatnonzero(rank >= 0)
    for level, start in enumerate(np.floor(LEVELS * len(used) + 1e-9).astype(int)):
        cut = np.sort(rank[used])[start]
        block, above = np.flatnonzero(rank == cut), np.flatnonzero(rank > cut)
        orders = [np.append(above, part) for part in combinations(block, len(used) - start - len(above))]
        assert levels.genuine[level] == pytest.approx(np.mean([genuine[rows].sum() for rows in orders]))
        assert levels.impostor[level] == pytest.approx(np.mean([(~genuine[rows]).sum() for rows in orders]))
        assert kept[level] == pytest.approx(np.mean([chosen[level, rows].sum() for rows in orders]))
    assert levels.tied == np.bincount(rank[used]).max() / len(used)
