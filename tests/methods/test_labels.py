"""What FaceQnet, SDD-FIQA, PCNet and LightQNet learn from: labels and losses by hand, brute force, scipy."""
import numpy as np
import pytest
import torch
from scipy.stats import spearmanr, wasserstein_distance

from fiqa_core.base.errors import FiqaError
from fiqa_core.methods.faceqnet import comparison_labels, galleries
from fiqa_core.methods.lightqnet import (Teacher, divergence, identification_loss, joint_loss,
                                         match_probability, median_similarity)
from fiqa_core.methods.pcnet import pair_minimum_loss
from fiqa_core.methods.sdd_fiqa import draw_distinct, similarity_distances, wasserstein, wasserstein_labels
from fiqa_core.training.people import accompanied, by_person, genuine_pairs, hold_out, shuffled

PAIR = (torch.tensor([0]), torch.tensor([1]))


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def people(count=30, each=10, size=32, seed=0):
    """Embeddings of persons whose images lie the farther from their own direction the worse they are."""
    rng = np.random.default_rng(seed)
    codes, severity = np.repeat(np.arange(count), each), rng.random(count * each)
    noise = rng.normal(size=(count * each, size)) * severity[:, None]
    vectors = unit(unit(rng.normal(size=(count, size)))[codes] + 0.3 * noise)
    return vectors, codes, [f"{row:04d}" for row in range(len(codes))], severity


def rows_of(*samples):
    return (np.array([sample]) for sample in samples)


def test_wasserstein_of_the_check_values():
    a, b = rows_of([0.7, 0.8, 0.6], [0.1, 0.0, 0.2])
    assert wasserstein(a, b) == pytest.approx(0.6) and wasserstein(b, a) == pytest.approx(0.6)
    assert wasserstein(*rows_of([0.5, 0.6], [0.1, 0.2, 0.3])) == pytest.approx(0.35)


def test_wasserstein_equals_scipy_for_unequal_counts():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(60, 9)).round(1), rng.normal(0.5, 1, (60, 14)).round(1)        # with ties
    in_a, in_b = rng.random(a.shape) < 0.6, rng.random(b.shape) < 0.6
    in_a[:, 0] = in_b[:, 0] = True
    expected = [wasserstein_distance(x[i], y[j]) for x, y, i, j in zip(a, b, in_a, in_b)]
    np.testing.assert_allclose(wasserstein(a, b, in_a, in_b), expected, atol=1e-12)


def test_draws_are_distinct_complete_and_even():
    drawn = draw_distinct(np.repeat([5, 3, 40], 3000), 4, np.random.default_rng(0))
    five, three, forty = np.split(drawn, 3)
    assert ((five >= 0) & (five < 5)).all() and all(len(set(row)) == 4 for row in five)
    assert (np.sort(three, axis=1) == [-1, 0, 1, 2]).all()
    assert all(len(set(row)) == 4 for row in forty)
    np.testing.assert_allclose(np.bincount(five.ravel()) / 3000, 0.8, atol=0.03)
    np.testing.assert_allclose(np.bincount(forty.ravel(), minlength=40) / 3000, 0.1, atol=0.025)


def test_distances_equal_brute_force_where_the_draw_takes_all():
    vectors, codes, _, _ = people(4, 3)
    codes = np.repeat([0, 1, 2, 3], [2, 5, 3, 2])
    found = similarity_distances(vectors, codes, 10, np.random.default_rng(0))
    cosines = vectors @ vectors.T
    for row, code in enumerate(codes):
        same, self = codes == code, np.arange(len(codes)) == row
        expected = wasserstein_distance(cosines[row, same & ~self], cosines[row, ~same])
        assert found[row] == pytest.approx(expected)


def test_a_round_spans_0_to_100_and_their_mean_lies_inside():
    vectors, codes, names, severity = people()
    one = wasserstein_labels(vectors, codes, names, rounds=1, samples=6)
    assert one.min() == 0 and one.max() == pytest.approx(100)
    many = wasserstein_labels(vectors, codes, names, rounds=4, samples=6)
    assert 0 <= many.min() and many.max() <= 100
    assert spearmanr(many, -severity)[0] > 0.5
    spread = [np.std(wasserstein_labels(vectors, codes, names, k, 6, seed=1)
                     - wasserstein_labels(vectors, codes, names, k, 6, seed=2)) for k in (1, 12)]
    assert spread[1] < 0.5 * spread[0]                          # rounds average the draws' noise away


def test_labels_follow_the_image_not_its_place():
    vectors, codes, names, _ = people(6, 5)
    order = np.random.default_rng(3).permutation(len(codes))
    labels = wasserstein_labels(vectors, codes, names, rounds=2, samples=3)
    moved = wasserstein_labels(vectors[order], codes[order], np.array(names)[order], rounds=2, samples=3)
    assert np.array_equal(labels[order], moved)


def test_the_distance_has_no_sign():
    """An image under a wrong name, unlike its person and like the others, gets one of the highest labels."""
    vectors, codes, names, _ = people(2, 10)
    vectors[0] = vectors[codes == 1][np.argmax(vectors[codes == 1] @ vectors[codes == 1].mean(0))]
    labels = wasserstein_labels(vectors, codes, names, rounds=3)
    assert labels[0] > np.median(labels)


def test_images_without_a_partner_have_no_label():
    vectors, codes, names, _ = people(3, 4)
    codes[:4] = [0, 0, 7, 8]
    labels = wasserstein_labels(vectors, codes, names, rounds=2)
    assert np.isnan(labels[2:4]).all() and np.isfinite(np.delete(labels, [2, 3])).all()
    for unfit in (np.arange(len(codes)), np.zeros(len(codes), int)):
        with pytest.raises(FiqaError):
            wasserstein_labels(vectors, unfit, names)


def test_the_gallery_is_the_least_spoilt_image():
    gallery = galleries(["b", "a", "b", "a", "b"], [0.2, 0.1, 0.1, 0.5, 0.1], ["1", "2", "4", "3", "0"])
    assert gallery.tolist() == [4, 1, 4, 1, 4]                  # of equal ones the first name


def test_comparison_labels_by_hand():
    angles = np.deg2rad([0, 60, 90, 180])
    vectors = np.stack((np.cos(angles), np.sin(angles)), axis=1)        # distances 1, sqrt 2, 2 to the first
    labels = comparison_labels(vectors, np.zeros(4, int))
    distances = np.array([1, 2 ** 0.5, 2])
    z = (distances - distances.mean()) / distances.std()
    assert np.isnan(labels[0]) and labels[1:] == pytest.approx(1 / (1 + np.exp(z)))
    with pytest.raises(FiqaError):
        comparison_labels(vectors, np.arange(4))


def test_comparison_labels_of_spoilt_images_are_lower():
    vectors, codes, names, severity = people()
    labels = comparison_labels(vectors, galleries(codes, severity, names))
    probes = np.isfinite(labels)
    assert probes.sum() == len(codes) - 30 and ((labels[probes] > 0) & (labels[probes] < 1)).all()
    assert labels[probes].mean() == pytest.approx(0.5, abs=0.05)
    assert spearmanr(labels[probes], -severity[probes])[0] > 0.5


def test_pairs_and_batches():
    i, j = genuine_pairs(torch.tensor([3, 1, 3, 3]))
    assert sorted(zip(i.tolist(), j.tolist())) == [(0, 2), (0, 3), (2, 3)]
    codes = np.repeat([0, 1, 2, 3, 4], [1, 5, 9, 2, 4])
    rows = accompanied(codes)
    assert rows.tolist() == list(range(1, 21))
    for seed in range(4):
        batches = by_person(rows, np.random.default_rng(seed), codes, people=2, each=4)
        used = np.concatenate(batches)
        assert len(batches) == 3 and len(set(used)) == len(used) == 18      # groups of 4, 4 and 4, 2, 4
        assert all(np.bincount(codes[batch]).max() <= 8 for batch in batches)
    assert sorted(np.concatenate(shuffled(rows, np.random.default_rng(0), 6))) == list(rows)
    with pytest.raises(FiqaError):
        accompanied(np.arange(5))


def test_validation_holds_out_whole_persons():
    codes = np.repeat(np.arange(10), 4)
    train, validation = hold_out(codes, np.arange(40), 0.3, seed=1)
    assert len(train) == 28 and not set(codes[train]) & set(codes[validation])
    assert sorted([*train, *validation]) == list(range(40))
    assert len(hold_out(codes, np.arange(40), 0.0, seed=1)[1]) == 0
    for share in (1.0, 0.99, -0.1):
        with pytest.raises(FiqaError):
            hold_out(codes, np.arange(40), share, seed=1)


def with_cosines(gram):
    """Vectors of length 1 with the given cosines."""
    return torch.from_numpy(np.linalg.cholesky(np.array(gram)))


def test_only_the_less_confident_image_learns():
    f = with_cosines([[1.0, 0.5], [0.5, 1.0]])
    c = torch.tensor([0.9, 0.7], dtype=torch.float64, requires_grad=True)
    loss = pair_minimum_loss(c, f, torch.tensor([4, 4]))
    loss.backward()
    assert loss.item() == pytest.approx(0.04) and c.grad.tolist() == pytest.approx([0, 0.4])
    for confidence, expected in (([0.5, 0.9], 0), ([0.4, 0.9], 0.01), ([0.5, 0.5], 0)):
        found = pair_minimum_loss(torch.tensor(confidence), f, torch.tensor([4, 4]))
        assert found.item() == pytest.approx(expected, abs=1e-7)
    tied = torch.tensor([0.7, 0.7], dtype=torch.float64, requires_grad=True)
    pair_minimum_loss(tied, f, torch.tensor([4, 4])).backward()
    assert tied.grad.tolist() == pytest.approx([0.2, 0.2])


def test_optimum_of_three_images():
    """Pair cosines .9, .3, .3: the odd image's confidence is .3, the smaller of the others' .9."""
    f = with_cosines([[1, 0.9, 0.3], [0.9, 1, 0.3], [0.3, 0.3, 1]])
    z = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([z], 0.2)
    for _ in range(120):
        optimiser.zero_grad()
        pair_minimum_loss(z.sigmoid(), f, torch.zeros(3)).backward()
        optimiser.step()
    c = z.sigmoid().detach()
    assert c[2].item() == pytest.approx(0.3, abs=1e-3) and c[:2].min().item() == pytest.approx(0.9, abs=1e-3)


def test_pairs_of_different_persons_do_not_count():
    f = with_cosines([[1, 0.9, 0.3], [0.9, 1, 0.3], [0.3, 0.3, 1]])
    c = torch.tensor([0.9, 0.95, 0.1]).double()
    assert pair_minimum_loss(c, f, torch.tensor([0, 0, 1])).item() == pytest.approx(0, abs=1e-12)


def test_match_probabilities_of_the_dossier():
    t = match_probability(torch.tensor([-0.2, 0.0, 0.2, 0.4, 0.6, 0.8]))
    assert t.tolist() == pytest.approx([0.000068, 0.001659, 0.039166, 0.5, 0.960834, 0.998341], abs=1e-6)


def test_identification_loss_is_cross_entropy_of_the_smaller_quality():
    target = torch.tensor([0.3])
    q = torch.tensor([0.8, 0.4], requires_grad=True)
    loss = identification_loss(q, PAIR, target)
    loss.backward()
    assert loss.item() == pytest.approx(-(0.3 * np.log(0.4) + 0.7 * np.log(0.6)), abs=1e-6)
    assert q.grad[0] == 0 and q.grad[1].item() == pytest.approx((0.4 - 0.3) / (0.4 * 0.6), abs=1e-5)
    values = [identification_loss(torch.tensor([0.9, value]), PAIR, target).item()
              for value in (0.2, 0.29, 0.3, 0.31, 0.4)]
    assert min(values) == values[2] >= 0
    assert np.isfinite(identification_loss(torch.tensor([0.0, 1.0]), PAIR, torch.tensor([1.0])).item())


def test_the_student_follows_the_teacher_not_the_other_way_round():
    teacher = torch.tensor([0.2, 0.9], requires_grad=True)
    student = torch.tensor([0.4, 0.9], requires_grad=True)
    value = divergence(teacher, student)
    value.backward()
    assert value.item() == pytest.approx((0.2 * np.log(0.5) + 0.8 * np.log(0.8 / 0.6)) / 2, abs=1e-6)
    assert teacher.grad is None and student.grad[0] > 0 and student.grad[1].abs() < 1e-5
    assert divergence(teacher, teacher).item() == pytest.approx(0, abs=1e-7)
    generator = torch.Generator().manual_seed(0)
    for p, q in torch.rand(20, 2, 5, generator=generator):
        assert divergence(p, q) > 0


def test_joint_loss_adds_up():
    student, teacher, target = torch.tensor([0.6, 0.4]), torch.tensor([0.7, 0.5]), torch.tensor([0.5])
    parts = identification_loss(student, PAIR, target) + identification_loss(teacher, PAIR, target)
    assert joint_loss(student, teacher, PAIR, target, 3.0).item() == \
        pytest.approx((parts + 3 * divergence(teacher, student)).item())


def test_the_margin_is_the_median_similarity():
    f = with_cosines([[1, 0.9, 0.3], [0.9, 1, 0.5], [0.3, 0.5, 1]])
    assert median_similarity(f, [np.array([0, 1, 2])], torch.zeros(3)) == pytest.approx(0.5)
    assert median_similarity(f, [np.array([0, 2]), np.array([1])], torch.zeros(3)) == pytest.approx(0.3)


def test_the_teacher_spreads_its_qualities():
    torch.manual_seed(0)
    quality = Teacher(6, 8)(100 + torch.randn(64, 6))           # its last norm centres whatever comes
    spread = quality.logit().std(correction=0).item()
    assert quality.shape == (64,) and quality.logit().mean().item() == pytest.approx(0, abs=1e-3)
    assert spread == pytest.approx(1, abs=0.01)
