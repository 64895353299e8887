"""What the explorer leaves on disk: pictures, all numbers as a row, the state; numbered, never replaced."""
import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.base import project
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import holding, read_text, write_csv, write_text
from fiqa_core.base.images import write_image
from fiqa_core.explore.frame import Frame, Mark
from fiqa_core.explore.kit import Kit
from fiqa_core.explore.reference import Reference
from fiqa_core.explore.state import State, from_json
from fiqa_core.explore.views import decision
from fiqa_core.rendering.nuisance import CAUSES
from fiqa_core.reporting.figure_style import PLAIN, canvas, dots, finish, rows_of

SUFFIXES = ("_face.png", "_panel.png", ".csv", ".json")
PACKAGES = ("fiqa-core", "torch", "numpy", "opencv-python-headless")


def folder() -> Path:
    """Where exports go: `explorations` in the project, which git and DVC ignore."""
    return project.root() / "explorations"


def save(shown: Frame, slow: dict[str, Mark], kit: Kit, faces: Reference, place: Path
         | None = None) -> list[Path]:
    """Write the face, the panel, the row and the state under the next free number; returns the four files."""
    place = place or folder()
    place.mkdir(parents=True, exist_ok=True)
    with holding(place / "numbers"):
        taken = [int(path.name[12:16]) for path in place.glob("exploration_????*")
                 if path.name[12:16].isdigit()]
        paths = [place / f"exploration_{max(taken, default=0) + 1:04d}{suffix}" for suffix in SUFFIXES]
        write_text(shown.state.to_json() + "\n", paths[3])
    write_image(paths[0], shown.pixels)
    paths[1].write_bytes(panel(shown, slow)._repr_png_())
    write_csv(pd.DataFrame([numbers(shown, slow, kit, faces)]), paths[2], digits=17)
    return paths


def numbers(shown: Frame, slow: dict[str, Mark], kit: Kit, faces: Reference) -> dict:
    """All that the panel shows as one row: controls, scores with places, thresholds, digests, versions."""
    state = shown.state
    row = {"person_seed": state.seed, "person_of": state.of, "person_row": state.row, "style": state.style,
           "picture": state.picture_name, **{name: state[name] for name in CAUSES},
           "occlusion": shown.occlusion, "severity": shown.severity, "recogniser": kit.choice.key
           if kit.choice else "",
           "trained_on": kit.choice.trained_on if kit.choice else "", "compared_with": faces.name,
           "preset": state.preset,
           "fmr": state.fmr, "threshold": shown.threshold, "similarity": shown.similarity,
           "match": shown.accepted}
    for slug, mark in {**shown.scores, **slow}.items():
        row |= {slug: mark.value, f"{slug}_percentile": mark.percentile}
    for name, mark in shown.components.items():
        row |= {f"component_{name.replace(' ', '_')}": mark.value}
    row |= {f"digest_{name}": digest for name, digest in kit.digests().items()}
    return row | {f"version_{name}": version(name)
                  for name in PACKAGES} | {"python": platform.python_version()}


def panel(shown: Frame, slow: dict[str, Mark]):
    """The panel as a figure: face, reference, decision, and every score's percentile."""
    marks = [mark for mark in {**shown.scores, **slow}.values()]
    figure, axes = canvas(1, 3, (10, 1.2 + max(2.6, 0.28 * len(marks))), width_ratios=(1, 1, 2))
    for axis, pixels, title in zip(axes[0], (shown.pixels, shown.good), ("now", "good reference")):
        axis.imshow(pixels, interpolation="nearest")
        axis.set_title(title)
        axis.axis("off")
    places = [np.nan if mark.percentile is None else mark.percentile for mark in marks]
    dots(axes[0, 2], places, np.arange(len(marks)), styles=[PLAIN] * len(marks))
    rows_of(axes[0, 2], [f"{mark.name}  {mark.value:.3g}" for mark in marks])
    axes[0, 2].set(xlim=(-3, 103), xlabel="percentile among the faces to compare with")
    return finish(figure, "the face, its reference and the place of every score", decision(shown)
                  or "no recogniser")


def load(source: str | Path | bytes) -> State:
    """The state of a saved JSON file, or of its text. Raises FiqaError for anything else."""
    if isinstance(source, bytes) or str(source).lstrip().startswith("{"):
        return from_json(source)
    path = Path(source)
    if not path.is_file():
        raise FiqaError(f"{path} is not there", "name a file exploration_NUMBER.json")
    return from_json(read_text(path, "give the file as it was saved"))
