"""Figures that show faces: strips ordered by each method, and faces with every method's score.

Contact sheets: many faces on one picture, for notebooks and for looking at one's own changes.
"""
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fiqa_core.base import project
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet, load_face_set
from fiqa_core.reporting.beside import order_methods
from fiqa_core.reporting.figure_style import MUTED, canvas, finish, look


def benchmark_faces(name: str) -> FaceSet:
    """The prepared benchmark `name` ("XQLFW"); pixels stay on disk. Raises FiqaError if it is not there."""
    return load_face_set(project.build() / "benchmarks" / name)


def choose_benchmark(available, wanted: str = "") -> str:
    """`wanted` if given, else the benchmark with the widest range of quality among `available`."""
    names = list(dict.fromkeys(available))
    if wanted and wanted not in names:
        raise FiqaError(f"benchmark is {wanted!r}, which has no scores", f"choose among {', '.join(names)}")
    ranked = [wanted, "XQLFW", "LFW-XQ", *names]
    return next(name for name in ranked if name in names)


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


def ordered_strips(images: dict[str, np.ndarray], scores: pd.DataFrame, title: str = "") -> Figure:
    """The same faces once per method, each row ordered by that method from worst (left) to best (right).

    images  image_id -> (112, 112, 3) uint8; scores: index image_id, one column per method. The number under a
            face is its score, the small letter names the face, the same letter in every row.
    """
    methods = order_methods(scores.columns)
    letters = {name: chr(ord("A") + i) for i, name in enumerate(images)}
    figure, axes = canvas(len(methods), len(images),
                          size=(1.6 + 0.95 * len(images), 0.3 + 1.2 * len(methods)))
    for row, method in enumerate(methods):
        ranked = scores.loc[list(images), method].sort_values(kind="stable")
        for axis, (name, score) in zip(axes[row], ranked.items()):
            show_face(axis, images[name], f"{letters[name]}   {score:.3f}")
        axes[row, 0].set_ylabel(method, rotation=0, ha="right", va="center", color=look(method).colour,
                                fontweight="bold")
    orders = "; ".join(
        f"{m}: {''.join(letters[n] for n in scores.loc[list(images), m].sort_values(kind='stable').index)}"
        for m in methods
    )
    return finish(
        figure,
        f"{len(images)} faces, lettered A to {letters[list(images)[-1]]}, ordered from worst to best "
        f"by each method. {orders}.",
        title,
    )


def score_table(images: dict[str, np.ndarray], scores: pd.DataFrame, ranks: pd.DataFrame,
                title: str = "") -> Figure:
    """Faces across, methods down: the score of each face, shaded by its percentile in the benchmark.

    images  image_id -> (112, 112, 3) uint8, in the order to show; scores, ranks: index image_id, one column
            per method; ranks are percentiles in [0, 1] (0 = worst of the benchmark)
    """
    methods = order_methods(scores.columns)
    names = list(images)
    figure, axes = canvas(2, 1, size=(1.7 + 0.95 * len(names), 1.5 + 0.36 * len(methods)),
                          height_ratios=(1.0, 0.36 * len(methods)))
    strip, cells = axes[:, 0]
    strip.imshow(np.concatenate([images[n] for n in names], axis=1), extent=(-0.5, len(names) - 0.5, 0, 1),
                 aspect="auto")
    strip.axis("off")
    cells.grid(False)
    cells.imshow(ranks.loc[names, methods].T.to_numpy(float), cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for i, method in enumerate(methods):
        for j, name in enumerate(names):
            cells.text(j, i, f"{scores.loc[name, method]:.3f}", ha="center", va="center", fontsize=8.5,
                       color="white" if ranks.loc[name, method] < 0.55 else "black")
    cells.set_yticks(range(len(methods)), methods)
    cells.set_xticks(range(len(names)), [f"image {j + 1}" for j in range(len(names))])
    cells.tick_params(length=0)
    cells.spines[:].set_visible(False)
    return finish(
        figure,
        f"{len(names)} faces from worst to best and their scores by {', '.join(methods)}; "
        "light cells are high percentiles of the benchmark.",
        title,
    )


def show_face(axis, face: np.ndarray, caption: str) -> None:
    """One face without axes, its caption below."""
    axis.imshow(face)
    axis.grid(False)
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    axis.set_xlabel(caption, fontsize=8, color=MUTED, labelpad=2)


def set_strips(sets: dict, count: int = 8, title: str = "") -> Figure:
    """The first `count` faces of each set, a row each.

    sets  name -> (faces (N, 112, 112, 3) uint8, mask (N,) of those that hold a face)
    """
    figure, axes = canvas(len(sets), count, size=(1.8 + 0.95 * count, 0.3 + 1.0 * len(sets)))
    for row, (name, (faces, good)) in zip(axes, sets.items()):
        for axis in row:
            axis.axis("off")
        for axis, face in zip(row, faces[good][:count]):
            axis.axis("on")
            show_face(axis, face, "")
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    return finish(figure, f"The first {count} faces of the sets {', '.join(sets)}, a row each.", title)


def contact_sheet(pixels: np.ndarray, columns: int = 8, path: Path | None = None,
                  scale: int = 1) -> np.ndarray:
    """Arrange pixels (N, H, W, 3) uint8 RGB row by row: one picture (rows*H, columns*W, 3) uint8 RGB.

    Empty places are white. scale enlarges each face. path: also write it there (PNG). Raises FiqaError
    for no faces or a wrong shape.
    """
    pixels = np.asarray(pixels)
    if pixels.ndim != 4 or pixels.shape[-1] != 3 or len(pixels) == 0 or columns < 1:
        raise FiqaError(f"contact_sheet: pixels have shape {pixels.shape}, {columns} columns",
                        "give at least one face as uint8 (N, H, W, 3), and one column or more")
    count, height, width = pixels.shape[:3]
    rows = -(-count // columns)
    sheet = np.full((rows * columns, height, width, 3), 255, np.uint8)
    sheet[:count] = pixels
    sheet = sheet.reshape(rows, columns, height, width, 3).transpose(0, 2, 1, 3, 4)
    sheet = sheet.reshape(rows * height, columns * width, 3)
    if scale > 1:
        sheet = cv2.resize(sheet, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    if path is not None:
        cv2.imwrite(str(path), sheet[..., ::-1])
    return sheet
