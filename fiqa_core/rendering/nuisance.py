"""What spoils a face image, each cause with a known magnitude.

A nuisance table is a pandas DataFrame with one row per image and the columns COLUMNS, plus `style`, a
whole number that fixes what has no magnitude: which of a person's two looks, the
camera's distance, background, colours of occluders, place of the bar, the
direction of motion, the noise itself. Protocol files describe the distribution of each column.
"""
import numpy as np
import pandas as pd

from fiqa_core.base.errors import FiqaError

# column: (value that does no harm, smallest, largest, unit of `severity`)
CAUSES = {
    "yaw": (0.0, -90.0, 90.0, 60.0),            # degrees, > 0 turns the nose to the right of the picture
    "pitch": (0.0, -40.0, 40.0, 45.0),          # degrees, > 0 looks up
    "roll": (0.0, -90.0, 90.0, 150.0),          # degrees in the picture plane, undone by the alignment
    "mouth_open": (0.0, 0.0, 1.0, 2.5),         # 1: wide open
    "smile": (0.0, 0.0, 1.2, 4.0),
    "eyes_closed": (0.0, 0.0, 1.0, 2.5),        # 1: closed
    "light_level": (1.0, 0.08, 2.5, 2.2),       # exposure; severity counts factors of two
    "light_angle": (0.0, -100.0, 100.0, 130.0),  # degrees from the viewer, > 0 from the right
    "age": (30.0, 16.0, 85.0, 60.0),            # years; severity counts the distance from 30
    "glasses": (0.0, 0.0, 1.0, 1.3),            # 0 none, else opacity of the lenses
    "mask": (0.0, 0.0, 1.0, 1.1),               # 0 none, else how far up the nose it reaches
    "bar": (0.0, 0.0, 1.0, 0.5),                # hand or bar in front: width as a share of the face
    "hat": (0.0, 0.0, 1.0, 1.8),                # 0 none, else how far down the forehead it sits
    "defocus": (0.0, 0.0, 8.0, 3.5),            # Gaussian standard deviation, pixels of the 112 crop
    "motion": (0.0, 0.0, 16.0, 10.0),           # length of the smear, pixels
    "resolution": (112.0, 8.0, 112.0, 2.6),     # pixels across; severity counts halvings
    "noise": (0.0, 0.0, 90.0, 45.0),            # standard deviation, grey values 0..255
    "jpeg": (100.0, 2.0, 100.0, 120.0),         # quality setting, 100: not compressed
    "jitter": (0.0, 0.0, 10.0, 8.0),            # standard deviation of each landmark's error, pixels
}
COLUMNS = tuple(CAUSES)


def neutral(count: int) -> pd.DataFrame:
    """A nuisance table of `count` undisturbed frontal images; style is the row number."""
    table = pd.DataFrame({name: np.full(count, CAUSES[name][0]) for name in COLUMNS})
    table["style"] = np.arange(count)
    return table


def draw(distributions: dict, count: int, generator: np.random.Generator) -> pd.DataFrame:
    """Draw a nuisance table of `count` rows.

    distributions: cause -> {normal: [mean, sd]} or {uniform: [low, high]}, with optional `chance`
    (share of images it strikes; the others keep the harmless value), `either_sign: true` (half of the
    values are negated) and `exponent` (of the uniform number: above 1 makes strong values rarer).
    Values are cut to the range in CAUSES. FiqaError for an unknown cause or distribution.
    """
    table = neutral(count)
    for name, spec in distributions.items():
        table[name] = _draw_one(name, spec, count, generator)
    table["style"] = generator.integers(0, 2 ** 62, count)
    return table


def _draw_one(name, spec, count, generator):
    known = {"normal", "uniform", "chance", "either_sign", "exponent"}
    if name not in CAUSES or set(spec) - known or ("normal" in spec) == ("uniform" in spec):
        raise FiqaError(f"nuisance {name}: {spec} is not understood",
                        "causes are " + ", ".join(COLUMNS) + "; give normal: [mean, sd] or "
                        "uniform: [low, high], and if needed chance, either_sign, exponent")
    harmless, smallest, largest, _ = CAUSES[name]
    if "normal" in spec:
        value = generator.normal(*spec["normal"], count)
    else:
        low, high = spec["uniform"]
        value = low + (high - low) * generator.random(count) ** spec.get("exponent", 1)
    sign = generator.choice((-1, 1), count)
    struck = generator.random(count) < spec.get("chance", 1)
    value = value * sign if spec.get("either_sign") else value
    return np.where(struck, value.clip(smallest, largest), harmless)


def severity(table: pd.DataFrame) -> np.ndarray:
    """One overall figure in 0..1 per image: 1 - exp(-sum over causes of s^2).

    s is the distance from the harmless value in units of the magnitude in CAUSES. Distances are
    differences; for light_level and resolution the number of doublings or halvings. Small deviations
    hardly count, one strong cause is enough, several add up. It is a convention for plots and rank
    correlations, not a measured loss of recognition.
    """
    total = np.zeros(len(table))
    for name, (harmless, _, _, unit) in CAUSES.items():
        values = table[name].to_numpy(float)
        doublings = name in ("light_level", "resolution")
        distance = np.log2(values / harmless) if doublings else values - harmless
        total += (distance / unit) ** 2
    return 1 - np.exp(-total)
