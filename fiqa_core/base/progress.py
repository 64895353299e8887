"""Progress of long work: one line at most every few seconds, with rate and time left."""
import sys
import time
from collections.abc import Iterable, Iterator


def progress(items: Iterable, label: str, total: int | None = None, unit: str = "it",
             weight=lambda item: 1, every: float = 5.0) -> Iterator:
    """Yield `items` and report "label done/total unit, rate, time left" on standard error.

    A plain line instead of a bar: it reads the same in a terminal, in a DVC log and in an executed
    notebook. `total` counts what `weight(item)` adds up to (images of a batch, for instance) and
    defaults to `len(items)`; `every` is the least time between two lines in seconds.
    """
    total = len(items) if total is None else total
    start = last = time.monotonic()
    done = 0
    for item in items:
        yield item
        done += weight(item)
        now = time.monotonic()
        if now - last >= every or (done >= total and now - start >= every):
            rate = done / (now - start)
            left = clock(max(total - done, 0) / rate) if rate > 0 else "unknown"
            print(f"{label}: {done}/{total} {unit}, {rate:.3g} {unit}/s, {left} left",
                  file=sys.stderr, flush=True)
            last = now


def clock(seconds: float) -> str:
    """Seconds as `42 s`, `3 min 05 s` or `1 h 02 min`."""
    seconds = int(round(seconds))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
