"""SER-FIQ: the published formulas, the noise of its sub-networks, and what it says of small networks."""
import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from fiqa_core.base.errors import FiqaError
from fiqa_core.kernels import noise
from fiqa_core.methods.ser_fiq import SERFIQ, VARIANTS, mean_distance, quality
from fiqa_core.recognisers.recogniser import Recogniser
from fiqa_core.recognisers.trunk import EmbeddingLayers, trunk_of
from fiqa_core.recognisers.zoo import recogniser_from_catalogue, recogniser_from_config
from tests.helpers.degraded_faces import ladder, trained_recogniser
from tests.helpers.small_networks import faces, recogniser

SMALL_IR = {"blocks": [1, 1], "widths": [16, 16], "size": 56, "stem_stride": 2, "embedding": 8}


@pytest.mark.parametrize("distance, raw, final", [
    (0.0, 1, 1), (0.15, 0.92514, 0.99718), (0.20, 0.900332, 0.933588), (0.2209, 0.889997, 0.785768),
    (0.2412, 0.879981, 0.499392), (0.2615, 0.86999, 0.213947), (0.30, 0.851115, 0.022864), (0.5, 0.755081, 0),
    (2 ** 0.5, 0.391141, 0)])
def test_published_constants(distance, raw, final):
    d = torch.tensor([distance], dtype=torch.float64)
    assert quality(d, 100, VARIANTS["original"]).item() == pytest.approx(raw, abs=1e-6)
    assert quality(d, 100, VARIANTS["official"]).item() == pytest.approx(final, abs=1e-5)


def random_directions(*shape):
    vectors = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.normalize(vectors, dim=-1)


def test_variants_by_the_letter():
    """Sums over pairs as the paper and the port write them."""
    embeddings = random_directions(2, 10, 6)
    mean, total = mean_distance(embeddings), torch.tensor([pdist(each).sum() for each in embeddings.numpy()])
    torch.testing.assert_close(mean.double(), total / 45, atol=1e-6, rtol=0)
    paper = 2 / (1 + torch.exp(2 / 10 ** 2 * total))
    port = 2 / (1 + torch.exp(8 * total / 10 ** 2))
    torch.testing.assert_close(quality(mean, 10, VARIANTS["paper"]).double(), paper, atol=1e-6, rtol=0)
    torch.testing.assert_close(quality(mean, 10, VARIANTS["port"]).double(), port, atol=1e-6, rtol=0)
    # The port's mean is half of the pair mean, times (T - 1) / T.
    torch.testing.assert_close(quality(mean * 8 * 9 / 20, 10, VARIANTS["original"]),
                               quality(mean, 10, VARIANTS["port"]), atol=1e-6, rtol=0)


def test_distances_of_almost_equal_embeddings_are_exact():
    base = random_directions(1, 1, 64)
    other = base.clone()
    other[..., 0] += 1e-5
    assert mean_distance(base.expand(1, 10, 64)).item() < 1e-9
    assert mean_distance(torch.cat((base, other), dim=1)).item() == pytest.approx(1e-5, rel=0.01)


def test_equals_the_plain_loop():
    """One image, one sub-network, one pair at a time."""
    network, images, count, rate = recogniser(), faces(2), 6, 0.4
    found = SERFIQ(network, count, rate, "original")(images)
    trunk = trunk_of(network)
    for row, image in enumerate(images):
        generator = noise.sample_generator(noise.DEFAULT_SEED, noise.content_keys(image[None])[0])
        features, embeddings = trunk(image[None])[0], []
        for draw in noise.uniform([generator], (count, len(features)), "cpu", 0.5)[0]:
            thinned = torch.where(draw + 0.5 >= rate, features / (1 - rate), torch.zeros(()))
            embedding = network.network.fc.weight @ thinned + network.network.fc.bias
            embeddings.append((embedding / embedding.norm()).numpy())
        raw = 2 / (1 + np.exp(pdist(np.stack(embeddings)).mean()))
        assert found[row].item() == pytest.approx(raw, abs=1e-5)


@pytest.mark.parametrize("build", [
    recogniser, trained_recogniser, lambda: recogniser_from_catalogue("mobilefacenet_xiaoccer").freeze(),
    lambda: recogniser_from_catalogue("mobilefacenet_foamliu").freeze(),
    lambda: recogniser_from_catalogue("mobilefacenet_curricularface").freeze(),
    lambda: recogniser_from_config({**SMALL_IR, "network": "adaface"}).freeze(),
    lambda: recogniser_from_config({**SMALL_IR, "network": "curricularface"}).freeze(),
    lambda: recogniser_from_config({"network": "transface", "width": 16, "depth": 1, "heads": 2, "patch": 14,
                                    "size": 56, "embedding": 8}).freeze(),
    lambda: recogniser_from_config({"network": "swin", "width": 16, "depths": [2, 1], "heads": [1, 2],
                                    "patch": 7, "window": 4, "size": 56, "embedding": 16}).freeze()])
def test_trunk_and_embedding_layers_make_the_embedding(build):
    network, images = build(), faces(2)
    found = EmbeddingLayers(network)(trunk_of(network)(images))
    torch.testing.assert_close(found, network.raw(network.outputs(images)), atol=1e-5, rtol=1e-4)


def test_the_last_norm_can_be_left_out():
    network = recogniser()
    features = trunk_of(network)(faces(2))
    found = EmbeddingLayers(network, last_norm=False)(features)
    torch.testing.assert_close(found, network.network.fc(features))


def test_scores_belong_to_the_image_and_the_seed():
    network, images = trained_recogniser(), faces(6)
    scores = SERFIQ(network, 20)(images)
    torch.testing.assert_close(SERFIQ(network, 20)(images.flip(0)).flip(0), scores, atol=1e-6, rtol=0)
    small = SERFIQ(network, 20, budget=1)                   # one image at a time
    torch.testing.assert_close(small(images), scores, atol=1e-6, rtol=0)
    other = SERFIQ(network, 20, generator=torch.Generator().manual_seed(3))(images)
    assert not torch.equal(other, scores) and (other - scores).abs().max() < 0.1


def test_without_dropout_every_face_is_perfect_and_more_dropout_is_worse():
    network, images = trained_recogniser(), faces(8)
    scores = [SERFIQ(network, 20, rate)(images) for rate in (0.0, 0.2, 0.4, 0.6)]
    assert torch.equal(scores[0], torch.ones(8))
    averages = [score.mean().item() for score in scores]
    assert averages == sorted(averages, reverse=True) and averages[-1] < averages[0]
    assert all((score > 2 / (1 + np.e ** 2)).all() for score in scores)


def test_few_repeats_estimate_what_many_do():
    network, images = trained_recogniser(), ladder("noise", 20, (0.5,))[0]
    few, many = (SERFIQ(network, count, variant="original")(images) for count in (10, 100))
    error = (few - many).std() / len(images) ** 0.5
    assert (few - many).mean().abs() < 3 * error and spearmanr(few, many).statistic > 0.5


class Cells(torch.nn.Module):
    """A linear recogniser: features are the brightness of 8x8 cells, and a column's cells say the same."""

    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(64, 32, bias=False)
        self.features = torch.nn.BatchNorm1d(32, affine=False)
        self.fc.weight.data = torch.randn(32, 8, generator=torch.Generator().manual_seed(0)).repeat(1, 8)

    def forward(self, images):
        cells = torch.nn.functional.adaptive_avg_pool2d(images[:, 0], 8)
        return self.features(self.fc(cells.flatten(1)))


def test_an_embedding_that_hangs_on_few_features_is_worse():
    images = torch.zeros(4, 3, 112, 112)
    for row, share in enumerate((1, 2, 4, 8)):
        images[row, :, :14 * share] = 0.5                   # 8, 16, 32, 64 bright cells
    network = Recogniser(Cells(), 32, mean=0.0, std=1.0).freeze()
    scores = SERFIQ(network, 50, 0.3)(images).tolist()
    assert scores == sorted(scores) and scores[-1] > scores[0] + 0.1


def test_the_rate_is_the_one_the_recogniser_was_trained_with():
    assert SERFIQ(trained_recogniser()).dropout == 0.4
    with pytest.raises(FiqaError, match="without dropout"):
        SERFIQ(recogniser())
    for wrong in ({"repeats": 1}, {"dropout": 1.0}, {"variant": "other"}, {"dropout": -0.1}):
        with pytest.raises(FiqaError):
            SERFIQ(trained_recogniser(), **wrong)
