"""Work done ahead: its order, its errors, and how far ahead it is."""
import threading

import pytest

from fiqa_core.base.ahead import Ranges, ahead


def test_results_come_in_order_and_no_further_ahead_than_said():
    begun, taken = [], []

    def work(item):
        begun.append(item)
        return item ** 2

    for result in ahead(work, range(7), depth=2):
        taken.append(result)
        assert len(begun) <= len(taken) + 2
    assert taken == [0, 1, 4, 9, 16, 25, 36] and begun == [*range(7)]
    assert [*ahead(work, [])] == []


def test_work_is_done_in_another_thread():
    assert {*ahead(lambda item: threading.get_ident(), range(3))} - {threading.get_ident()}


def test_an_error_comes_where_its_result_would_have_come():
    begun = []

    def work(item):
        begun.append(item)
        return 1 // (3 - item)

    results, found = ahead(work, range(100), depth=1), []
    with pytest.raises(ZeroDivisionError):
        for result in results:
            found.append(result)
    assert found == [0, 0, 1] and len(begun) <= 5


def test_who_stops_taking_stops_the_work():
    begun = []
    results = ahead(begun.append, range(100), depth=1)
    next(results)
    results.close()
    assert len(begun) <= 3 and threading.active_count() < 50


def test_ranges_are_drawn_once_each_whatever_is_asked_for():
    drawn = []

    def work(first, last):
        drawn.append((first, last))
        return [*range(first, last)]

    with Ranges(work, 10, 4) as ranges:
        assert ranges(0, 4) == [0, 1, 2, 3]
        assert ranges(4, 6) == [4, 5]                   # expected was (4, 8)
        assert ranges(6, 10) == [6, 7, 8, 9]
    assert drawn.count((0, 4)) == drawn.count((4, 6)) == drawn.count((6, 10)) == 1
    assert {*drawn} <= {(0, 4), (4, 8), (4, 6), (6, 10)}


def test_an_error_of_a_range_comes_when_it_is_asked_for():
    with Ranges(lambda first, last: 1 // (4 - first), 12, 4) as ranges:
        assert ranges(0, 4) == 0
        with pytest.raises(ZeroDivisionError):
            ranges(4, 8)
