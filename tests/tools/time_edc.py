"""Time of error-versus-discard curves against the published algorithm: python -m tests.tools.time_edc

One thread, processor time, median of 5 runs; the results are checked to be equal. Compared are
- plain: the published algorithm step by step: at each of 100 discard fractions a mask of the comparisons that
  are kept (Grother & Tabassi 2007; the scripts of MagFace and CR-FIQA do so at 20);
- core: the same curve at all its points in bare numpy: sort by each pair's lower quality, cumulate errors;
- ours: images ranked once, errors counted per rank (`evaluation.discard`), at all its points;
- second: ours for one more recogniser, whose pairs have their ranks already.
"""
import argparse
import os
from statistics import median
from time import process_time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402

from fiqa_core.evaluation.discard import discard_steps, pair_ranks, ranks  # noqa: E402

STEPS = np.arange(100) / 100


def plain(similarity, quality, a, b, threshold):
    """FNMR (100,) at the discard fractions STEPS."""
    pair_quality = np.minimum(quality[a], quality[b])
    cuts = np.sort(pair_quality)[np.floor(STEPS * len(pair_quality) + 1e-9).astype(int)]
    fnmr = np.empty(len(STEPS))
    for step, cut in enumerate(cuts):
        kept = similarity[pair_quality >= cut]
        fnmr[step] = np.mean(kept < threshold)
    return fnmr


def core(similarity, quality, a, b, threshold):
    """Discard fractions and FNMR wherever a new quality begins."""
    pair_quality = np.minimum(quality[a], quality[b])
    order = np.argsort(pair_quality)
    pair_quality, errors = pair_quality[order], (similarity < threshold)[order]
    starts = np.flatnonzero(np.append(True, pair_quality[1:] != pair_quality[:-1]))
    left = np.append(0, np.cumsum(errors))
    return starts / len(errors), (left[-1] - left[starts]) / (len(errors) - starts)


def ours(similarity, quality, a, b, threshold):
    return discard_steps(similarity < threshold, pair_ranks(ranks(quality), a, b))


def timed(function, runs: int, *given):
    """Median seconds of processor time, and the result."""
    seconds = []
    for _ in range(runs):
        begin = process_time()
        result = function(*given)
        seconds.append(process_time() - begin)
    return median(seconds), result


def compare(pairs: int, images: int, runs: int) -> str:
    """One row of the table."""
    generator = np.random.default_rng(0)
    quality, similarity = generator.random(images), generator.random(pairs)
    a, b = generator.integers(images, size=(2, pairs), dtype=np.int32)
    given = similarity, quality, a, b, 0.05
    rank = pair_ranks(ranks(quality), a, b)
    slow, grid = timed(plain, runs, *given)
    bare, expected = timed(core, runs, *given)
    fast, found = timed(ours, runs, *given)
    again, _ = timed(lambda: discard_steps(similarity < 0.05, rank), runs)
    assert all(map(np.array_equal, expected, found)), "the curves differ"
    place = np.searchsorted(found[0], STEPS + 1e-9, side="right") - 1
    assert np.allclose(found[1][place], grid, rtol=0, atol=1e-12), "the steps differ"
    return (f"{pairs:>12,} {images:>8,} {slow:9.3f} {bare:9.3f} {fast:9.4f} {again:9.4f} {slow / fast:12.1f} "
            f"{bare / fast:11.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, nargs="+", default=[1_000_000, 15_658_489])
    parser.add_argument("--images", type=int, default=23_124, help="or templates: IJB-C's number")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    print(f"{'pairs':>12} {'images':>8} {'plain s':>9} {'core s':>9} {'ours s':>9} {'second s':>9} "
          f"{'plain / ours':>12} {'core / ours':>11}")
    for pairs in args.pairs:
        print(compare(pairs, args.images, args.runs), flush=True)


if __name__ == "__main__":
    main()
