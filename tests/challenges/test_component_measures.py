"""Component measures of quality on pictures made to show one flaw."""
import numpy as np
import pytest
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import jpeg, to_batch, to_pixels
from fiqa_core.challenges import component_measures
from fiqa_core.challenges.component_measures import COMPONENTS, FaceSpace


def smooth_faces(count=4, seed=0) -> torch.Tensor:
    coarse = torch.rand(count, 3, 14, 14, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (112, 112), mode="bicubic").clamp(0.2, 0.8).contiguous()


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_does_not_depend_on_the_batch_and_refuses_pixels(name):
    faces = smooth_faces()
    scores = COMPONENTS[name](faces)
    assert scores.shape == (4,) and scores.dtype == torch.float32
    assert torch.allclose(scores[2:3], COMPONENTS[name](faces[2:3]))
    with pytest.raises(FiqaError, match="outside"):
        COMPONENTS[name](faces * 255)


def test_noise_is_measured_in_its_own_unit():
    flat = torch.full((1, 3, 112, 112), 0.5)
    grey = torch.randn(1, 1, 112, 112, generator=torch.Generator().manual_seed(0)) * 0.05
    assert component_measures.noise(flat).item() == 0
    assert component_measures.noise((flat + grey).clamp(0, 1)).item() == pytest.approx(-0.05, rel=0.1)


def test_compression_sees_blocks_at_any_phase():
    picture = np.pad(to_pixels(smooth_faces(1))[0], ((0, 8), (0, 8), (0, 0)), "edge")
    crops = [p[:112, :112] for p in (picture, jpeg(picture, 60), jpeg(picture, 10))]
    values = component_measures.compression(to_batch(np.stack([*crops, jpeg(picture, 10)[3:115, 3:115]])))
    assert values[0] > values[1] > values[2] and values[3] == pytest.approx(values[2].item(), rel=0.15)


def test_exposure_eyes_and_mouth_see_their_own_flaw():
    face = torch.full((4, 3, 112, 112), 0.6)
    for rows, columns in component_measures.EYES:
        face[:, :, rows, columns][..., 4:9, 6:12] = 0.2                  # two dark irises
    face[1] *= 0.15                                                      # under-exposed
    face[2, :, component_measures.EYES[0][0], component_measures.EYES[0][1]] = 0.6       # one eye closed
    face[3, :, 90:98, 50:63] = 0.05                                      # an open mouth
    assert component_measures.exposure(face)[1] == 0 and component_measures.exposure(face)[0] > 0.9
    assert component_measures.eyes_open(face)[2] == 0 and component_measures.eyes_open(face)[0] > 0.1
    assert component_measures.mouth_closed(face)[3] < 0.2 and component_measures.mouth_closed(face)[0] > 0.9


def test_face_space_finds_what_is_no_face():
    seeded = torch.Generator().manual_seed(0)
    faces = smooth_faces(1) + 0.15 * torch.randn(60, 1, 1, 1, generator=seeded) * smooth_faces(1, seed=1)
    space = FaceSpace(faces.clamp(0, 1), components=5)
    hidden = faces[:1].clamp(0, 1).clone()
    hidden[:, :, 60:104] = 0.1                                           # a mask
    assert space(hidden).item() < space(faces[:1].clamp(0, 1)).item() - 0.3
    with pytest.raises(FiqaError, match="5 faces for 5 principal components"):
        FaceSpace(faces[:5].clamp(0, 1), components=5)
