"""Seconds that the evaluation takes at the size of the papers: python -m tests.tools.time_evaluation"""
from time import perf_counter, process_time

import numpy as np
import pandas as pd

from fiqa_core.base.faces import FaceSet
from fiqa_core.evaluation.bootstrap import DiscardWeights, multiplicities
from fiqa_core.evaluation.comparisons import pair_similarity, pool, template_quality
from fiqa_core.evaluation.discard import pair_ranks, ranks
from fiqa_core.evaluation.edc import Comparisons
from fiqa_core.evaluation.evaluate import evaluate


def benchmark(name: str, seed: int) -> FaceSet:
    """4000 images of 500 identities without pictures, 3000 genuine and 10,000 impostor pairs."""
    generator = np.random.default_rng(seed)
    number = np.arange(4000)
    ids = np.array([f"i{i}" for i in number])
    a = generator.integers(4000, size=13_000)
    b = np.where(np.arange(13_000) < 3000, a // 8 * 8 + (a + generator.integers(1, 8, size=13_000)) % 8,
                 (a + 8 * generator.integers(1, 500, size=13_000)) % 4000)
    images = pd.DataFrame({"image_id": ids, "identity": number // 8, "template_id": ids, "media_id": ids,
                           "crossfit": 0, "blur": generator.random(4000)})
    pairs = pd.DataFrame({"a": ids[a], "b": ids[b], "genuine": (np.arange(13_000) < 3000).astype(int),
                          "fold": -1})
    return FaceSet(name, np.broadcast_to(np.uint8(0), (4000, 112, 112, 3)), images, pairs)


def fifteen_methods_eight_benchmarks_seven_recognisers(resamples):
    faces = {f"B{i}": benchmark(f"B{i}", i) for i in range(8)}
    embeddings, scores = {}, []
    for i, (name, chosen) in enumerate(faces.items()):
        generator = np.random.default_rng(i)
        blur = chosen.images["blur"].to_numpy()
        centres = np.repeat(generator.standard_normal((500, 64)), 8, axis=0)
        for r in range(7):
            noise = (0.4 + 1.6 * blur ** 2)[:, None] * generator.standard_normal((4000, 64))
            embeddings[f"R{r}", name] = (centres + noise).astype(np.float32)
        ids = chosen.images["image_id"]
        scores += [pd.DataFrame({"benchmark": name, "image_id": ids, "method": f"M{m}",
                                 "score": 0.1 * m * generator.standard_normal(4000) - blur})
                   for m in range(15)]
    begin, used = perf_counter(), process_time()
    evaluate(faces, embeddings, pd.concat(scores), {"resamples": resamples})
    print(f"15 methods x 8 benchmarks x 7 recognisers, {resamples} resamples: "
          f"{perf_counter() - begin:.1f} s, {process_time() - used:.1f} s of the processor")


def one_interval():
    generator = np.random.default_rng(0)
    weights, rank = multiplicities(3000, 1000, 0), ranks(generator.random(3000))
    wrong = generator.random((1, 3000)) < 0.1
    used = process_time()
    DiscardWeights(rank, weights).pauc(wrong, 0.3)
    print(f"1000 resamples of a 3000-pair pAUC: {1000 * (process_time() - used):.0f} ms of the processor")


def fifteen_million_pairs():
    """The size of IJB-C 1:1: 23,124 templates, 15,658,489 pairs of 512-dimensional vectors."""
    generator = np.random.default_rng(0)
    template = np.append(np.arange(23_124), generator.integers(23_124, size=26_876))
    media = generator.integers(60_000, size=50_000)
    embeddings = generator.standard_normal((50_000, 512), dtype=np.float32)
    quality = generator.random(50_000)
    a, b = generator.integers(23_124, size=(2, 15_658_489))
    genuine = np.arange(len(a)) < 19_557
    begin, used = perf_counter(), process_time()
    similarity = pair_similarity(pool(embeddings, template, media), a, b)
    between = perf_counter()
    rank = pair_ranks(ranks(template_quality(quality, template, media)), a, b)
    compared = Comparisons(similarity.astype(np.float64), genuine, 1e-3)
    for preset in ("iso", "paper"):
        compared.curve(rank, preset)
    print(f"{len(a):,} pairs: similarity {between - begin:.1f} s, curves {perf_counter() - between:.1f} s, "
          f"{process_time() - used:.1f} s of the processor")


if __name__ == "__main__":
    for count in (0, 1000):
        fifteen_methods_eight_benchmarks_seven_recognisers(count)
    one_interval()
    fifteen_million_pairs()
