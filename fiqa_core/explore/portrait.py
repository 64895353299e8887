"""The picture of a state: a rendered person with flaws, or the user's photograph with those of a camera."""
from functools import lru_cache

import numpy as np
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import decode_image, to_batch, to_pixels
from fiqa_core.benchmarks.detectors import load_detector
from fiqa_core.benchmarks.enrolment import NO_FACE, enrol, look
from fiqa_core.explore.state import SIDE, State
from fiqa_core.rendering import capture
from fiqa_core.rendering.identity import sample_identities, second_look
from fiqa_core.rendering.renderer import Cast, render_batch

CHANGED = 3                     # the two highest of a style's 62 bits in which a person has the second look
MOST_BYTES, MOST_PIXELS = 30_000_000, 50_000_000
PHOTO = ("give a photograph with one face (JPEG or PNG), or a crop of 112 x 112 pixels aligned to the "
         "ArcFace template")


def portrait(state: State) -> tuple[np.ndarray, float]:
    """Pixels (112, 112, 3) uint8 RGB, aligned to the ArcFace template, and the covered share of the face.

    A rendered face has the very pixels that `render_faces` gives it. Of a photograph the share is NaN.
    """
    if state.picture:
        return spoilt(state), float("nan")
    table = state.table()
    result = render_batch(cast(state.seed, state.of, state.row, state.style >> 60 == CHANGED), table)
    return capture.compress(to_pixels(result.images), table["jpeg"].to_numpy())[0], float(result.occlusion[0])


@lru_cache(maxsize=16)
def cast(seed: int, of: int, row: int, changed: bool) -> Cast:
    """One person's head and texture, kept: a flaw changes neither. changed: in the person's second look."""
    person = sample_identities(of, seed)[row:row + 1]
    return Cast.of(second_look(person) if changed else person)


def spoilt(state: State) -> np.ndarray:
    """A finished picture with a camera's flaws, in their order: motion, blur, pixels, noise, JPEG."""
    values = {name: torch.tensor([state[name]], dtype=torch.float32)
              for name in ("defocus", "motion", "resolution",
                                                                                 "noise")}
    turn = torch.pi * torch.rand(1, generator=torch.Generator().manual_seed(state.style))
    images = capture.motion_blur(to_batch(state.pixels()[None]), values["motion"], turn)
    images = capture.blur_and_resample(images, values["defocus"], values["resolution"])
    images = capture.sensor_noise(images, values["noise"], [state.style]).clamp(0, 1)
    return capture.compress(to_pixels(images), np.array([state["jpeg"]]))[0]


@lru_cache(maxsize=1)
def detector():
    """MTCNN, loaded once."""
    return load_detector("mtcnn")


def crop_of(data: bytes, name: str) -> np.ndarray:
    """The aligned crop (112, 112, 3) uint8 of the one face in a picture file, as every command cuts it.

    A picture of 112 x 112 pixels is taken for a crop. Raises FiqaError for a file that is too large or no
    picture, and where there is no face, or more than one.
    """
    if len(data) > MOST_BYTES:
        raise FiqaError(f"{name} is too large: {len(data) / 1e6:.0f} MB",
                        f"give at most {MOST_BYTES / 1e6:.0f} MB")
    picture = decode_image(data, name)
    height, width = picture.shape[:2]
    if height * width > MOST_PIXELS:
        raise FiqaError(f"{name} is too large: {width} x {height} pixels", "give a smaller copy")
    if (height, width) == (SIDE, SIDE):
        return picture
    faces, _ = look(picture, detector())
    if len(faces.scores) > 1:
        raise FiqaError(f"{name} shows {len(faces.scores)} faces", "cut it to the one that is meant")
    found = enrol(lambda: picture, name, faces.landmarks[0] if len(faces.scores) else None, detector())
    if found.failure:
        raise FiqaError(f"{name}: {'no face was found' if found.failure == NO_FACE else found.failure}",
                        PHOTO)
    return found.crop
