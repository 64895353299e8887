"""Figures that show faces: the one sheet of faces, strips ordered by each method, faces with every score."""
import textwrap

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from fiqa_core.base import project
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet, load_face_set
from fiqa_core.reporting.figure_style import MUTED, canvas, finish, heatmap, wide_enough
from fiqa_core.reporting.names import LOOKS, look, order_methods, plain_name

APART = 1.04  # from one face to the next, in widths of a face
CAPTION = 17  # characters of a caption's line


def benchmark_faces(name: str) -> FaceSet:
    """The prepared benchmark `name` ("XQLFW"); pixels stay on disk. Raises FiqaError if it is not there."""
    return load_face_set(project.build() / "benchmarks" / name)


def spread_of_quality(table: pd.DataFrame, by: str, count: int) -> list[str]:
    """`count` image ids from worst to best, evenly spaced in the ranking by column `by`.

    table  index: image_id, one column of scores per method; images that lack a score are left out
    """
    ranked = table.dropna()
    ranked = ranked.assign(name=ranked.index).sort_values([by, "name"], kind="stable")["name"]
    if len(ranked) < count:
        raise FiqaError(f"{len(ranked)} images are scored by every method, {count} are wanted",
                        "choose a smaller count")
    return list(ranked.iloc[np.linspace(0, len(ranked) - 1, count).round().astype(int)])


def pictures(faces: FaceSet, image_ids: list[str]) -> dict[str, np.ndarray]:
    """image_id -> pixels (112, 112, 3) uint8. Raises FiqaError for an image the benchmark does not hold."""
    rows = dict(zip(faces.images["image_id"], range(len(faces))))
    unknown = [i for i in image_ids if i not in rows]
    if unknown:
        raise FiqaError(f"{faces.name} has no image {unknown[0]}", "score this benchmark again: dvc repro")
    return {i: np.asarray(faces.pixels[rows[i]]) for i in image_ids}


def face_sheet(faces, columns: int = 12, captions=(), labels=(), title: str = "", alt: str = "",
               frames: dict[int, str] | None = None) -> Figure:
    """Faces (H, W, 3) uint8 row by row, `columns` in each: the one sheet of faces.

    faces     a list or array; None: an empty place
    captions  what stands below each face, or none
    labels    what stands before each row, a method in its colour
    frames    number of a face -> colour of the frame around it
    The axes' units are widths of a face: face i fills a square from `corner(i, columns, captions)`.
    """
    rows, (_, step) = -(-len(faces) // columns), corner(columns, columns, captions)
    width = APART * columns + 0.085 * max(map(len, labels), default=0) + 0.25
    figure, axes = canvas(size=(wide_enough(width, title), step * rows + 0.4))
    axis = axes[0, 0]
    for i, face in enumerate(faces):
        x, y = corner(i, columns, captions)
        if face is not None:
            axis.imshow(face, extent=(x, x + 1, y + 1, y))
        if captions:
            axis.text(x + 0.5, y + 1.05, textwrap.fill(captions[i], CAPTION), fontsize=8, color=MUTED,
                      ha="center", va="top")
    for i, colour in (frames or {}).items():
        axis.add_patch(Rectangle(corner(i, columns, captions), 1, 1, fill=False, edgecolor=colour,
                                 linewidth=3))
    axis.set(xlim=(0, APART * columns), ylim=(step * rows, 0), xticks=[])
    axis.set_yticks(step * np.arange(len(labels)) + 0.5, labels)
    axis.tick_params(length=0)
    for label in axis.get_yticklabels():
        if plain_name(label.get_text()) in LOOKS:
            label.set(color=look(label.get_text()).colour, fontweight="bold")
    axis.grid(False)
    axis.spines[:].set_visible(False)
    return finish(figure, alt or f"{len(faces)} faces.", title)


def corner(i: int, columns: int, captions=()) -> tuple[float, float]:
    """Upper left corner of face `i` on a `face_sheet`."""
    deep = max((len(textwrap.wrap(text, CAPTION)) for text in captions), default=0)
    return APART * (i % columns), (APART + 0.16 * deep) * (i // columns)


def ordered_strips(images: dict[str, np.ndarray], scores: pd.DataFrame, title: str = "") -> Figure:
    """The same faces once per method, each row ordered by that method from worst (left) to best (right).

    images  image_id -> (112, 112, 3) uint8; scores: index image_id, one column per method. The number under a
            face is its score, the small letter names the face, the same letter in every row.
    """
    methods = order_methods(scores.columns)
    letters = {name: chr(ord("A") + i) for i, name in enumerate(images)}
    ranked = {method: scores.loc[list(images), method].sort_values(kind="stable") for method in methods}
    orders = "; ".join(f"{m}: {''.join(letters[name] for name in ranked[m].index)}" for m in methods)
    captions = [f"{letters[name]}   {score:.3f}" for m in methods for name, score in ranked[m].items()]
    return face_sheet([images[name] for m in methods for name in ranked[m].index], len(images), captions,
                      methods, title,
                      f"{len(images)} faces, lettered A to {letters[list(images)[-1]]}, ordered "
                      f"from worst to best by each method. {orders}.")


def score_table(images: dict[str, np.ndarray], scores: pd.DataFrame, ranks: pd.DataFrame,
                title: str = "") -> Figure:
    """Faces across, methods down: the score of each face, shaded by its percentile in the benchmark.

    images  image_id -> (112, 112, 3) uint8, in the order to show; scores, ranks: index image_id, one column
            per method; ranks are percentiles in [0, 1] (0 = worst of the benchmark)
    """
    methods, names = order_methods(scores.columns), list(images)
    figure, axes = canvas(2, 1, size=(1.7 + 0.95 * len(names), 1.5 + 0.36 * len(methods)),
                          height_ratios=(1.0, 0.36 * len(methods)))
    strip, cells = axes[:, 0]
    strip.imshow(np.concatenate([images[n] for n in names], axis=1), aspect="auto")
    strip.axis("off")
    shaded, text = ranks.loc[names, methods].T, scores.loc[names, methods].T.map("{:.3f}".format)
    shaded.columns = [f"image {j + 1}" for j in range(len(names))]
    heatmap(cells, shaded, text, "cividis", 0, 1)
    cells.xaxis.tick_bottom()
    cells.tick_params(length=0)
    return finish(figure, f"{len(names)} faces from worst to best and their scores by {', '.join(methods)}; "
                  "light cells are high percentiles of the benchmark.", title)


def set_strips(sets: dict, count: int = 8, title: str = "") -> Figure:
    """The first `count` faces of each set, a row each.

    sets  name -> (faces (N, 112, 112, 3) uint8, mask (N,) of those that hold a face)
    """
    rows = [[*faces[good][:count], *[None] * count][:count] for faces, good in sets.values()]
    return face_sheet([face for row in rows for face in row], count, (), list(sets), title,
                      f"The first {count} faces of the sets {', '.join(sets)}, a row each.")
