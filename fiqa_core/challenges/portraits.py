"""Whole pictures: rendered ones, of which every truth is known, and the photographs behind a benchmark's
crops."""
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import POINT_COLUMNS, FaceSet
from fiqa_core.base.images import to_pixels
from fiqa_core.base.progress import progress
from fiqa_core.base.project import settings
from fiqa_core.benchmarks.alignment import ARCFACE_TEMPLATE
from fiqa_core.benchmarks.loaders import load_listing
from fiqa_core.challenges.component_statistics import detection
from fiqa_core.challenges.portrait_measures import (ALIGNMENT, BACKGROUND, EYES, PITCH, POSE, ROLL, YAW,
                                                    background_uniformity, eye_distance, head_pose,
                                                    landmark_measures)
from fiqa_core.evaluation.ranks import spearman
from fiqa_core.pipeline.prepare import SET_OPTIONS, check
from fiqa_core.rendering import camera
from fiqa_core.rendering.identity import SHAPE, sample_identities
from fiqa_core.rendering.morphable import person_points
from fiqa_core.rendering.nuisance import neutral
from fiqa_core.rendering.renderer import Cast, render_batch

# component -> the truth that it is meant to see; that does harm by its size, the eye distance by being small
TRUTHS = {ALIGNMENT: "jitter", YAW: "yaw", PITCH: "pitch", ROLL: "roll", EYES: "eye_distance",
          BACKGROUND: "backdrop"}


@dataclass(frozen=True)
class Portraits:
    """Rendered whole pictures: pixels (N, 112, 112, 3) uint8; points (N, 5, 2), landmarks as a detector that
    errs by `jitter` finds them; truth (N rows): yaw, pitch, roll in degrees, eye_distance in pixels (of this
    head, were it frontal), jitter (of each landmark, pixels of a 112 crop), backdrop (contrast behind the
    head, 0 to 1)."""

    pixels: np.ndarray
    points: np.ndarray
    truth: pd.DataFrame


def render_portraits(count: int, seed: int) -> Portraits:
    """`count` people, one picture each, every cause drawn by itself; the same on every machine for one
    seed."""
    rng = np.random.default_rng(seed)
    truth = pd.DataFrame({"yaw": rng.uniform(-45, 45, count), "pitch": rng.uniform(-20, 20, count),
                          "roll": rng.uniform(-30, 30, count), "eye_distance": rng.uniform(14, 28, count),
                          "jitter": np.where(rng.random(count) < 0.5, 0, rng.uniform(0, 6, count)),
                          "backdrop": rng.random(count)})
    nuisance = neutral(count).assign(**truth[["yaw", "pitch", "roll"]], style=rng.integers(0, 2**62, count))
    people = sample_identities(count, seed)
    eyes = camera.landmarks(person_points(people[:, :len(SHAPE)]))[:, :2].numpy()
    per_cm = truth["eye_distance"].to_numpy() / np.linalg.norm(eyes[:, 1] - eyes[:, 0], axis=1)
    frames = np.zeros((count, 2, 3), np.float32)
    frames[:, 0, 0] = frames[:, 1, 1] = per_cm
    frames[:, :, 2] = rng.uniform(-4, 4, (count, 2)) + (55.5, 48)
    pixels, points = np.empty((count, 112, 112, 3), np.uint8), np.empty((count, 5, 2))
    for row in progress(range(count), "render portraits", unit="images"):
        found = render_batch(Cast.of(people[row:row + 1]), nuisance.iloc[row:row + 1],
                             frame=torch.from_numpy(frames[row:row + 1]))
        pixels[row] = before_backdrop(found, truth["backdrop"][row], rng)
        points[row] = found.landmarks[0].numpy()
    crop = truth["eye_distance"].to_numpy() / np.ptp(ARCFACE_TEMPLATE[:2, 0])   # picture's pixels in a crop's
    slips = rng.normal(size=(count, 5, 2)) * (truth["jitter"].to_numpy() * crop)[:, None, None]
    return Portraits(pixels, points + slips, truth)


def before_backdrop(found, contrast: float, rng: np.random.Generator) -> np.ndarray:
    """Pixels (112, 112, 3) uint8 of one `Render`, what is behind the head replaced by grey with patches."""
    behind = F.adaptive_avg_pool2d((found.visible < 0).float()[None], 112)[0, 0].numpy()[..., None]
    patches = cv2.resize(rng.uniform(-1, 1, (20, 20)).astype(np.float32), (112, 112))
    wall = (0.55 + 0.4 * contrast * patches)[..., None]
    image = found.images[0].permute(1, 2, 0).numpy() * (1 - behind) + wall * behind
    return to_pixels(torch.from_numpy(image).permute(2, 0, 1)[None])[0]


def whole_picture_measures(pictures, points: np.ndarray) -> pd.DataFrame:
    """One column per component that takes a whole picture, one row per picture; points (N, 5, 2), NaN
    unknown.

    pictures  N pictures uint8 (H, W, 3) one after the other, None for one that is not at hand
    """
    table = pd.DataFrame(landmark_measures(points))
    table[BACKGROUND] = [np.nan if picture is None else background_uniformity(picture, own)
                         for picture, own in zip(pictures, points)]
    return table


def portrait_truth(portraits: Portraits) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What the measures say of rendered pictures: a row per component, and (component, cause, spearman) of
    all.

    Columns of the first: component, cause, spearman (with the cause's size; negative where it works),
    detection (the chance that a strongly flawed picture is told from one without), error and unit (of the
    number measured, mean absolute, where landmarks do not err; that people's heads differ is in it), images.
    """
    table = whole_picture_measures(portraits.pixels, portraits.points)
    causes = portraits.truth.abs()
    causes["eye_distance"] *= -1                                    # a small face is the flaw
    exact = (causes["jitter"] == 0).to_numpy()
    points = portraits.points
    measured = dict(zip(POSE, head_pose(points).T)) | {EYES: eye_distance(points)}
    units = dict.fromkeys(POSE, "degrees") | {EYES: "pixels"}
    every = pd.DataFrame([(c, cause, spearman(table[c], causes[cause])) for c in table for cause in causes],
                         columns=["component", "cause", "spearman"])
    rows = []
    for component, cause in TRUTHS.items():
        known = table[component].notna().to_numpy()
        error = np.abs(measured.get(component, np.nan) - portraits.truth[cause])[exact].mean()
        rows.append((component, cause, spearman(table[component], causes[cause]),
                     detection(table[component].to_numpy()[known], causes[cause].to_numpy()[known]), error,
                     units.get(component, ""), int(known.sum())))
    columns = ["component", "cause", "spearman", "detection", "error", "unit", "images"]
    return pd.DataFrame(rows, columns=columns), every


def photograph_measures(faces: FaceSet) -> pd.DataFrame:
    """The components that take whole pictures, for a benchmark whose photographs were aligned from landmarks.

    No columns where its pictures came as crops. Pictures are read once more from where the suite has them;
    images that are not among them, such as copies degraded after the crop, have no background.
    """
    if not set(POINT_COLUMNS) <= set(faces.images):
        return pd.DataFrame(index=range(len(faces)))
    points = faces.images[list(POINT_COLUMNS)].to_numpy(float).reshape(-1, 5, 2)
    return whole_picture_measures(photographs(faces), points)


def photographs(faces: FaceSet):
    """The photographs (H, W, 3) behind the crops, one after the other; None for those that are not at
    hand."""
    entry = (settings("faces").get("benchmarks") or {}).get(faces.name)
    if entry is None:
        yield from (None for _ in range(len(faces)))
        return
    options = check(faces.name, entry)
    listing = load_listing(name=faces.name, **{k: v for k, v in options.items() if k not in SET_OPTIONS})
    places = pd.Index(listing.images["image_id"]).get_indexer(faces.images["image_id"])
    for place in progress(places.tolist(), f"photographs {faces.name}", len(places), "images"):
        try:
            yield None if place < 0 else listing.read(place)
        except FiqaError:                                           # counted as a failure when it was aligned
            yield None
