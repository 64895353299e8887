"""Everything that the user of the explorer has chosen, as one value to keep, compare and restore."""
import base64
import json
import math
from dataclasses import asdict, dataclass, fields, replace
from typing import get_origin

import numpy as np
import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.rendering.nuisance import CAUSES, neutral

CAPTURE = ("defocus", "motion", "resolution", "noise",
           "jpeg")     # flaws that a finished picture can still be given
FMRS = (0.1, 0.01, 0.001)               # what preset `paper` can reach: it divides by ten
PRESETS = ("iso", "paper")
NEUTRAL = tuple(cause[0] for cause in CAUSES.values())
SIDE = 112
UNITS = {"yaw": "yaw, °", "pitch": "pitch, °", "roll": "roll, °", "mouth_open": "mouth open",
         "jitter": "jitter, px", "eyes_closed": "eyes closed", "light_level": "light, ×", "light_angle": "light from, °",
         "age": "age, years", "defocus": "blur, px", "motion": "motion, px", "resolution": "resolution, px",
         "noise": "noise, grey"}                       # what controls are called, where not as the cause
STEPS = {cause: 0.01 if high - low <= 3 else 0.1 if high - low <= 20 else 1.0
         for cause, (_, low, high, _) in CAUSES.items()}
REMEDY = "give a state that the explorer saved, unchanged"


@dataclass(frozen=True)
class State:
    """What the controls of the explorer say.

    seed, of, row   the person: row `row` of `sample_identities(of, seed)`
    style           fixes what has no magnitude: background, colours, direction of motion, the noise itself
    flaws           values of `nuisance.CAUSES` in that order
    picture         a photograph's crop instead of the person: bytes of (112, 112, 3) uint8 RGB; b"" for none
    picture_name    what the crop is called
    recogniser      key of `kit.recognisers()`; "" the first there is
    benchmark       name of the faces to compare with; "" the first there are
    preset, fmr     how decisions and curves are made
    method, other   slugs of the methods in the tabs
    flaw            the cause that the tab Curve goes through
    discard         share of the comparisons that has left, in the tab Discard
    brush           percentiles of `method` between which faces are shown, in the tab Set
    Raises FiqaError for a value that cannot be.
    """

    seed: int = 7
    of: int = 1
    row: int = 0
    style: int = 0
    flaws: tuple = NEUTRAL
    picture: bytes = b""
    picture_name: str = ""
    recogniser: str = ""
    benchmark: str = ""
    preset: str = "iso"
    fmr: float = 0.01
    method: str = "faceqan"
    other: str = "sharpness"
    flaw: str = "mask"
    discard: float = 0.0
    brush: tuple = (0.0, 10.0)

    def __post_init__(self):
        for name, (_, low, high, _) in CAUSES.items():
            check(low <= self[name] <= high, f"{name} is {self[name]}", f"give {low:g} to {high:g}")
        check(0 <= self.row < self.of <= 100_000, f"person {self.row} of {self.of}",
              "give a row below their number")
        check(self.seed >= 0 and self.style >= 0, f"seed {self.seed}, style {self.style}",
              "give numbers from 0")
        check(len(self.picture) in (0, SIDE * SIDE * 3), f"a picture of {len(self.picture)} bytes", REMEDY)
        check(self.preset in PRESETS, f"preset {self.preset!r}", f"choose one of {', '.join(PRESETS)}")
        check(self.fmr in FMRS, f"fmr is {self.fmr}", f"choose one of {', '.join(map(str, FMRS))}")
        check(self.flaw in CAUSES, f"flaw {self.flaw!r}", f"choose one of {', '.join(CAUSES)}")
        check(0 <= self.discard < 1, f"discard is {self.discard}", "give a share from 0 to below 1")
        check(0 <= self.brush[0] <= self.brush[1] <= 100, f"brush is {self.brush}", "give two percentiles")

    def __getitem__(self, flaw: str) -> float:
        """The value of a flaw."""
        return self.flaws[list(CAUSES).index(flaw)]

    def but(self, **changes) -> "State":
        """The same with other values; a flaw's name changes that flaw."""
        before = changes.pop("flaws", self.flaws)
        flaws = tuple(changes.pop(name, value) for name, value in zip(CAUSES, before))
        return replace(self, flaws=flaws, **changes)

    def unspoilt(self) -> "State":
        """The good reference: the same person or photograph without a flaw."""
        return replace(self, flaws=NEUTRAL)

    def movable(self) -> tuple[str, ...]:
        """The flaws that this source of faces can be given."""
        return CAPTURE if self.picture else tuple(CAUSES)

    def table(self) -> pd.DataFrame:
        """The flaws as one row of a nuisance table."""
        return neutral(1).assign(**dict(zip(CAUSES, self.flaws)), style=self.style)

    def pixels(self) -> np.ndarray:
        """The photograph's crop (112, 112, 3) uint8."""
        return np.frombuffer(self.picture, np.uint8).reshape(SIDE, SIDE, 3)

    def seen(self) -> tuple:
        """What decides the pixels: equal for states that show the same picture."""
        return self.seed, self.of, self.row, self.style, self.flaws, self.picture

    def to_json(self) -> str:
        """Text from which `from_json` makes an equal state, every bit the same."""
        values = asdict(self) | {"flaws": dict(zip(CAUSES, self.flaws)),
                                 "picture": base64.b64encode(self.picture).decode()}
        return json.dumps(values, indent=1)


def from_json(text: str | bytes) -> State:
    """The state of a text. Raises FiqaError for a text that is none."""
    try:
        values = json.loads(text)
        values["picture"] = base64.b64decode(values["picture"], validate=True)
        values["flaws"] = tuple(float(values["flaws"][name]) for name in CAUSES)
        values["brush"] = tuple(float(end) for end in values["brush"])
        for field in fields(State):
            kind = get_origin(field.type) or field.type
            check(type(values[field.name]) is kind, f"{field.name} is {str(values[field.name])[:40]}", REMEDY)
        return State(**values)
    except (ValueError, KeyError, TypeError) as error:
        raise FiqaError(f"this is no state of the explorer ({type(error).__name__}: {error})",
                        REMEDY) from None


def check(fine: bool, problem: str, remedy: str) -> None:
    """Raise FiqaError unless `fine`."""
    if not fine:
        raise FiqaError(problem, remedy)


def state_of_face(face: pd.Series, **person) -> State:
    """The state that shows the face of one row of an images table with `style`: its flaws, exactly."""
    return State(flaws=tuple(float(face[name]) for name in CAUSES), style=int(face["style"]), **person)


def steps_of(flaw: str, count: int = 11) -> np.ndarray:
    """`count` values of a flaw over its whole range; resolution and light by equal factors."""
    _, low, high, _ = CAUSES[flaw]
    if flaw in ("resolution", "light_level"):
        return np.exp(np.linspace(math.log(low), math.log(high), count)).clip(low, high)
    return np.linspace(low, high, count)
