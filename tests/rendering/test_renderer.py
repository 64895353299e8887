"""Rendered faces: geometry, visibility, identity and nuisance."""
import cv2
import numpy as np
import pytest
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.benchmarks.alignment import ARCFACE_TEMPLATE, similarity_transform
from fiqa_core.rendering import camera, zbuffer
from fiqa_core.rendering.head import LANDMARKS, average_head
from fiqa_core.rendering.identity import CHANGEABLE, PARAMETERS, SHAPE, sample_identities, second_look
from fiqa_core.rendering.morphable import person_points
from fiqa_core.rendering.nuisance import CAUSES, draw, neutral, severity
from fiqa_core.rendering.renderer import REFINEMENT, Cast, render_batch, render_faces
from fiqa_core.rendering.shading import normals

AVERAGE = torch.zeros(1, len(PARAMETERS))


def render(count=1, identities=AVERAGE, who=None, **causes):
    """Pixels of `count` images of one person; causes: name -> value or list of values."""
    table = neutral(count)
    table["style"] = 7
    for name, value in causes.items():
        table[name] = np.asarray(value, float)
    who = np.zeros(count, int) if who is None else who
    return render_faces(identities, who, table)[0]


def one(**causes):
    """Render of one average face with everything render_batch knows about it."""
    table = neutral(1)
    for name, value in causes.items():
        table[name] = float(value)
    return render_batch(Cast.of(AVERAGE), table)


def gradient_energy(pixels):
    grey = pixels.astype(float).mean(-1)
    return float((np.diff(grey, axis=1) ** 2).mean() + (np.diff(grey, axis=2) ** 2).mean())


def test_identities_are_many_parameters_and_reproducible():
    assert len(PARAMETERS) >= 40 and len(set(PARAMETERS)) == len(PARAMETERS)
    people = sample_identities(50, 3)
    assert people.shape == (50, len(PARAMETERS)) and people.abs().max() < 3
    assert torch.equal(people, sample_identities(50, 3))
    assert not torch.equal(people, sample_identities(50, 4))


def test_second_look_changes_hair_and_nothing_else():
    people = sample_identities(400, 2)
    changed = (second_look(people) - people).abs().amax(0) > 0
    assert {name for name, c in zip(PARAMETERS, changed) if c} == set(CHANGEABLE)
    assert second_look(people)[:, changed].std(0).sub(1).abs().max() < 0.12
    table = neutral(3)
    table["style"] = np.array([5, (3 << 60) + 5, (3 << 60) + 6])
    pixels = render_faces(people[:1], np.zeros(3, int), table)[0].astype(int)
    assert (np.abs(pixels[0] - pixels[1]).max((0, 1)) > 20).all()


def test_each_identity_parameter_changes_the_picture():
    start = AVERAGE.clone()
    for name, shown in (("mole_a_size", 1.0), ("mole_b_size", 1.0), ("hair_length", 1.0), ("fringe", 0.5)):
        start[:, PARAMETERS.index(name)] = shown
    people = start.repeat(2 * len(PARAMETERS), 1)
    for i in range(len(PARAMETERS)):
        people[2 * i, i] += 1.8
        people[2 * i + 1, i] -= 1.8
    count = len(people)
    pixels = render(count, people, np.arange(count), yaw=[15] * count, age=[50] * count)
    pixels = pixels.astype(int)
    change = np.abs(pixels[0::2] - pixels[1::2]).max((1, 2, 3))
    assert not [name for name, c in zip(PARAMETERS, change) if c < 6]


def test_landmarks_are_the_projected_features():
    head = average_head()
    cells = head.landmark_cells
    points = camera.landmarks(head.points[None])[0]
    assert cells.shape == (5, 2)
    flat = torch.tensor(LANDMARKS)
    assert (points - flat).abs().max() < 1.2  # perspective enlarges what is near by up to 13 %
    assert points[0, 0] == pytest.approx(-points[1, 0].item(), abs=1e-3)


def test_alignment_is_the_one_photographs_go_through():
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(4, 5, 2, generator=generator) * 20
    expected = np.stack([similarity_transform(points.numpy(), ARCFACE_TEMPLATE) for points in source])
    assert np.allclose(camera.alignment(source).numpy(), expected, atol=1e-4)


def test_frontal_landmarks_lie_on_the_template():
    marks = one().landmarks[0]
    assert (marks - torch.as_tensor(ARCFACE_TEMPLATE)).abs().max() < 2.0
    turned = one(roll=30, pitch=5).landmarks[0]
    assert (turned - torch.as_tensor(ARCFACE_TEMPLATE)).abs().max() < 3.0


def test_jitter_displaces_the_crop():
    still, shaken = one().landmarks, one(jitter=5).landmarks
    assert 0.5 < (still - shaken).norm(dim=2).mean() < 12


@pytest.mark.parametrize("yaw", [-90, 90])
def test_profile_hides_the_far_eye(yaw):
    result = one(yaw=yaw)
    where = zbuffer.surface_coordinates(result.visible, *average_head().face_x.shape, REFINEMENT)
    position = torch.stack([average_head().face_x, average_head().face_y])[None]
    face_x, face_y = torch.nn.functional.grid_sample(position, where, align_corners=True)[0]
    eye = (result.visible[0] >= 0) & (face_y.abs() < 0.5) & (face_x.abs() > 2.5) & (face_x.abs() < 3.8)
    near = -1 if yaw > 0 else 1
    assert (eye & (face_x * near > 0)).sum() >= 8
    assert (eye & (face_x * near < 0)).sum() == 0


def test_normals_point_out_of_the_head():
    head = average_head()
    normal = normals(head.points[None])[0]
    outwards = (normal[[0, 2]] * head.points[[0, 2]]).sum(0)
    cheeks = (head.face_y > -6) & (head.face_y < 9)
    assert (outwards[cheeks] > 0).float().mean() > 0.97


@pytest.mark.parametrize("yaw,pitch", [(0, 0), (35, 0), (-70, 10), (90, 0), (0, 25), (0, -20)])
def test_no_holes_inside_the_silhouette(yaw, pitch):
    result = one(yaw=yaw, pitch=pitch)
    empty = (result.visible[0] < 0).numpy().astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(empty, connectivity=4)
    edge = set(labels[0]) | set(labels[-1]) | set(labels[:, 0]) | set(labels[:, -1])
    holes = [stats[i, cv2.CC_STAT_AREA] for i in range(1, count) if i not in edge]
    assert sum(holes) <= 2


def test_result_does_not_depend_on_grouping_or_order():
    people = sample_identities(3, 1)
    table = draw({"yaw": {"normal": [0, 30]}, "noise": {"uniform": [1, 30]},
                  "defocus": {"uniform": [0, 3], "chance": 0.5}, "mask": {"uniform": [0.5, 1], "chance": 0.4},
                  "resolution": {"uniform": [20, 80], "chance": 0.5},
                  "jpeg": {"uniform": [10, 90]}, "jitter": {"uniform": [0, 3]}}, 7, np.random.default_rng(0))
    who = np.array([0, 1, 2, 0, 1, 2, 0])
    together, covered = render_faces(people, who, table)
    order = np.array([3, 6, 2, 0, 5, 1, 4])
    shuffled, covered_again = render_faces(people, who[order], table.iloc[order])
    assert np.array_equal(together[order], shuffled)
    assert np.array_equal(covered[order], covered_again)
    single = np.concatenate([render_faces(people, who[[i]], table.iloc[[i]])[0] for i in range(7)])
    assert np.array_equal(together, single)


@pytest.mark.parametrize("cause,values", [("defocus", [0, 1, 3]), ("resolution", [112, 48, 16]),
                                          ("motion", [0, 5, 12])])
def test_blur_takes_gradient_energy_away(cause, values):
    energy = [gradient_energy(render(1, **{cause: [v]})) for v in values]
    assert energy[0] > energy[1] > energy[2]


def test_noise_has_the_stated_deviation():
    clean, noisy = render(2, noise=[0, 12]).astype(float)
    middle = (clean > 60) & (clean < 195)
    assert (noisy - clean)[middle].std() == pytest.approx(12, rel=0.05)


def test_light_level_and_jpeg_and_occluders():
    dark, normal, bright = render(3, light_level=[0.3, 1, 1.8]).astype(float).mean((1, 2, 3))
    assert dark < normal < bright
    fine, coarse = render(2, jpeg=[100, 8]).astype(int)
    assert np.abs(fine - coarse).mean() > 2
    left, right = render(2, light_angle=[-70, 70]).astype(float).mean(-1)
    assert left[:, :50].mean() > left[:, 62:].mean() and right[:, :50].mean() < right[:, 62:].mean()


def test_true_occlusion_is_measured():
    table = neutral(6)
    table.loc[1, "mask"], table.loc[2, "mask"] = 0.2, 1.0
    table.loc[3, "glasses"], table.loc[4, "glasses"], table.loc[5, "hat"] = 0.1, 0.9, 0.6
    occlusion = render_faces(AVERAGE, np.zeros(6, int), table)[1]
    assert occlusion[0] == 0
    assert 0.2 < occlusion[1] < occlusion[2] < 0.65
    assert 0.01 < occlusion[3] < occlusion[4] < 0.35 and occlusion[5] > 0.02


def test_expressions_and_age_change_the_face():
    pixels = render(5, mouth_open=[0, 1, 0, 0, 0], smile=[0, 0, 1, 0, 0], eyes_closed=[0, 0, 0, 1, 0],
                    age=[30, 30, 30, 30, 75]).astype(int)
    assert (np.abs(pixels[1:] - pixels[0]).max((1, 2, 3)) > 25).all()
    mouth = pixels[:, 84:108, 46:66].mean((1, 2, 3))
    assert mouth[1] < mouth[0]  # an open mouth is dark inside


def test_draw_follows_the_distribution_and_its_limits():
    table = draw({"defocus": {"uniform": [1, 3], "chance": 0.25},
                  "yaw": {"uniform": [60, 80], "either_sign": True},
                  "age": {"normal": [40, 500]}}, 4000, np.random.default_rng(1))
    struck = table["defocus"] > 0
    assert struck.mean() == pytest.approx(0.25, abs=0.03) and table["defocus"][struck].between(1, 3).all()
    assert table["yaw"].abs().between(60, 80).all()
    assert (table["yaw"] < 0).mean() == pytest.approx(0.5, abs=0.03)
    assert table["age"].between(*CAUSES["age"][1:3]).all()
    assert (table["mask"] == 0).all()


@pytest.mark.parametrize("bad", [{"rain": {"normal": [0, 1]}}, {"yaw": {"gamma": [1, 2]}}, {"yaw": {}}])
def test_draw_refuses_what_it_does_not_know(bad):
    with pytest.raises(FiqaError, match="causes are yaw"):
        draw(bad, 3, np.random.default_rng(0))


def test_severity_is_zero_without_nuisance_and_grows_with_each_cause():
    assert (severity(neutral(2)) == 0).all()
    for name, (harmless, smallest, largest, _) in CAUSES.items():
        table = neutral(3)
        end = smallest if harmless == largest else largest
        table[name] = [harmless, (harmless + end) / 2, end]
        values = severity(table)
        assert 0 == values[0] < values[1] < values[2] <= 1, name


def test_wrong_input_is_explained():
    with pytest.raises(FiqaError, match="identity"):
        sample_identities(0, 1)
    with pytest.raises(FiqaError, match="one nuisance row"):
        render_faces(AVERAGE, np.zeros(2, int), neutral(3))


def test_zbuffer_keeps_the_nearest_surface():
    rows, columns = torch.meshgrid(torch.linspace(1, 15, 8), torch.linspace(1, 15, 8), indexing="ij")
    near = torch.stack([columns, rows, torch.full_like(rows, 5.0)])
    far = torch.stack([columns, rows, torch.full_like(rows, -5.0)])
    folded = torch.cat([near, far.flip(2)], 2)[None]  # the grid runs over the front and back again behind it
    sample, depth = zbuffer.visible_samples(folded, 16, 3)
    assert torch.allclose(depth[0, 3:12, 3:12], torch.tensor(5.0), atol=1e-3)
    assert (sample[0, 0] == -1).all() and depth[0, 0, 0] == zbuffer.FAR_AWAY


def test_shape_parameters_move_the_head():
    people = torch.eye(len(SHAPE))
    moved = (person_points(people) - average_head().points).flatten(1).abs().amax(1)
    assert (moved > 0.05).all() and (moved < 1.2).all()
