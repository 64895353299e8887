"""Points of a method on a benchmark are those of the plain EDC."""
import numpy as np
import pandas as pd
import pytest

from fiqa_core.base.faces import FaceSet
from fiqa_core.evaluation.comparisons import benchmark_pairs
from fiqa_core.evaluation.curves import Measure, Settings
from fiqa_core.evaluation.edc import edc


@pytest.mark.parametrize("preset", ["iso", "paper"])
@pytest.mark.parametrize("failures", [0, 3])
def test_cached_thresholds_change_no_point(preset, failures):
    """Failures of one method alone lower similarities for it alone, so its threshold is found anew."""
    faces = benchmark_of(300)
    pairs, generator = benchmark_pairs(faces), np.random.default_rng(5)
    similarity = {name: 0.2 * generator.standard_normal(len(pairs.a)) + 0.5 * pairs.genuine
                  for name in ("A", "B")}
    quality = generator.random(300)
    quality[generator.permutation(300)[:failures]] = -np.inf
    measured = Measure(pairs, similarity, Settings(fmr=1e-2, resamples=0), [0]).method(quality)[preset]
    for name, values in similarity.items():
        expected = edc(values, pairs.genuine, pairs.quality(quality), preset, 1e-2)
        assert measured.pauc[name, 0.3] == expected.pauc(0.3)
        assert measured.curves[name].failures == expected.failures
        assert np.array_equal(measured.curves[name].thresholds, expected.thresholds)
        assert (measured.curves[name].fmr, measured.curves[name].errors) == (expected.fmr, expected.errors)


def benchmark_of(count: int) -> FaceSet:
    """`count` images of count / 3 identities, 200 genuine and 4,000 impostor pairs; pictures are black."""
    generator, number = np.random.default_rng(2), np.arange(count)
    ids = np.array([f"i{i}" for i in number])
    images = pd.DataFrame({"image_id": ids, "identity": number // 3, "template_id": ids, "media_id": ids,
                           "crossfit": 0})
    a = generator.integers(count, size=4200)
    genuine = np.arange(4200) < 200
    b = np.where(genuine, a // 3 * 3 + (a + 1) % 3,
                 (a + 3 * generator.integers(1, count // 3, size=4200)) % count)
    pairs = pd.DataFrame({"a": ids[a], "b": ids[b], "genuine": genuine.astype(int), "fold": -1})
    return FaceSet("B", np.broadcast_to(np.uint8(0), (count, 112, 112, 3)), images, pairs)
