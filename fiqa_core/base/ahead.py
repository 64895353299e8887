"""Work that one thread does ahead of the one that needs it: pictures before the network, noise before the GPU."""
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor


def ahead(work: Callable, items: Iterable, depth: int = 2) -> Iterator:
    """work(item) of each of `items`, in their order, up to `depth` of them before they are asked for.

    An error of `work` is raised where its result would have come, and nothing is started behind it.
    """
    waiting: deque[Future] = deque()
    with ThreadPoolExecutor(1) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


class Ranges:
    """`work(first, last)` of ranges that follow each other, each begun in a thread when the one before is taken.

    total, size   ranges end at `total` and are probably `size` long; one that is asked for and was not expected is
                  worked on at once
    """

    def __init__(self, work: Callable[[int, int], object], total: int, size: int):
        self.work, self.total, self.size = work, total, size
        self._pool, self._begun = ThreadPoolExecutor(1), {}

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self._pool.shutdown(cancel_futures=True)

    def __call__(self, first: int, last: int):
        expected = self._begun.pop((first, last), None)
        found = self.work(first, last) if expected is None else expected.result()
        self._begun.clear()
        after = (last, min(last + self.size, self.total))
        if last < self.total:
            self._begun[after] = self._pool.submit(self.work, *after)
        return found
