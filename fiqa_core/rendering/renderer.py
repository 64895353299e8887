"""From persons and nuisance to aligned face images."""
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.progress import progress
from fiqa_core.rendering import camera, capture, hair, occluders, shading, texture, zbuffer
from fiqa_core.rendering.backdrop import background
from fiqa_core.rendering.head import COLUMNS as GRID_COLUMNS
from fiqa_core.rendering.head import ROWS as GRID_ROWS
from fiqa_core.rendering.head import average_head
from fiqa_core.rendering.identity import PARAMETERS, SHAPE, column, second_look
from fiqa_core.rendering.morphable import express, person_points
from fiqa_core.rendering.nuisance import COLUMNS
from fiqa_core.rendering.realism import FULL, Realism, clay, coarse

SIZE = 112
DETAIL = 1.25  # rendered pixels per pixel of the result; the surplus is averaged away and smooths edges
REFINEMENT = 3


@dataclass(frozen=True)
class Cast:
    """Persons ready to be shown: identities (B, len(PARAMETERS)), points (B, 3, ROWS, COLUMNS) of the
    expressionless head, paint (B, len(CHANNELS), H, W)."""

    identities: torch.Tensor
    points: torch.Tensor
    paint: torch.Tensor

    @staticmethod
    def of(identities: torch.Tensor, realism: Realism = FULL) -> "Cast":
        """Build heads and textures of identities (B, len(PARAMETERS)), one by one to stay in the cache."""
        paint = torch.cat([texture.paint(person[None]) for person in identities])
        points = coarse(person_points(identities[:, :len(SHAPE)]), realism.facets)
        return Cast(identities, points, paint if realism.skin else clay(paint))

    def take(self, rows: torch.Tensor) -> "Cast":
        """The persons with the given row numbers (B,)."""
        return Cast(self.identities[rows], self.points[rows], self.paint[rows])


@dataclass(frozen=True)
class Render:
    """images (B, 3, 112, 112) float32 in 0..1; landmarks (B, 5, 2) true positions in the crop's pixels;
    occlusion (B,) covered share of the face that would be seen; visible (B, S, S) sample numbers."""

    images: torch.Tensor
    landmarks: torch.Tensor
    occlusion: torch.Tensor
    visible: torch.Tensor


def render_faces(identities: torch.Tensor, who: np.ndarray, nuisance: pd.DataFrame, device="cpu",
                 label: str | None = None, realism: Realism = FULL):
    """Render one image per row of `nuisance`.

    identities (P, len(PARAMETERS)) as from `sample_identities`; who (N,) row of `identities` shown in
    each image; nuisance: table with N rows as from `nuisance.draw`. Returns pixels (N, 112, 112, 3)
    uint8 RGB, aligned to the ArcFace template, and true occlusion (N,). The result does not depend
    on how the images are grouped. label: name for progress lines; realism: what to leave out. Raises
    FiqaError if sizes disagree.
    """
    who = np.asarray(who)
    shape = tuple(identities.shape)
    if len(who) != len(nuisance) or shape[1] != len(PARAMETERS) or who.max(initial=0) >= shape[0]:
        raise FiqaError(f"{len(who)} images, {len(nuisance)} rows of nuisance, identities {shape}",
                        f"give one nuisance row per image and {len(PARAMETERS)} parameters per identity")
    identities = identities.to(device)
    pixels = np.empty((len(who), SIZE, SIZE, 3), np.uint8)
    occlusion = np.zeros(len(who), np.float32)
    jobs = _jobs(who, per_job=48 if torch.device(device).type == "cpu" else 512)

    def work(rows):
        pixels[rows], occlusion[rows] = _render_rows(identities, who[rows], nuisance.iloc[rows], device,
                                                     realism)
        return len(rows)

    for _ in _run(work, jobs, device, label, len(who)):
        pass
    return pixels, occlusion


def _jobs(who, per_job):
    """Split images into jobs; images of one person stay together, for the texture is painted once."""
    order = np.argsort(who, kind="stable")
    return [order[i:i + per_job] for i in range(0, len(order), per_job)]


def _run(work, jobs, device, label, total):
    """Yield the results of all jobs; on the CPU one thread per core, each with single-threaded torch."""
    threads = torch.get_num_threads() if torch.device(device).type == "cpu" else 1
    try:
        torch.set_num_threads(1)
        with ThreadPoolExecutor(threads) as pool:
            done = pool.map(work, jobs)
            yield from progress(done, label, total, "images", weight=int) if label else done
    finally:
        torch.set_num_threads(threads)


def _render_rows(identities, who, nuisance, device, realism):
    changed = (nuisance["style"].to_numpy(np.int64) >> 60) == 3  # one image in four; frames of a clip agree
    looks, place = np.unique(2 * np.asarray(who) + changed, return_inverse=True)
    looks = torch.as_tensor(looks, device=device)
    people = identities[looks // 2]
    cast = Cast.of(torch.where((looks % 2 == 1)[:, None], second_look(people), people), realism)
    chunk = 2 if torch.device(device).type == "cpu" else 64  # small tensors stay in the processor's cache
    pixels, occlusion = [], []
    for i in range(0, len(who), chunk):
        rows = slice(i, i + chunk)
        shown = cast.take(torch.as_tensor(place[rows], device=device))
        result = render_batch(shown, nuisance.iloc[rows], realism)
        picture = (result.images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        pixels.append(capture.compress(picture, nuisance["jpeg"].to_numpy()[rows]))
        occlusion.append(result.occlusion.cpu().numpy())
    return np.concatenate(pixels), np.concatenate(occlusion)


def render_batch(cast: Cast, nuisance: pd.DataFrame, realism: Realism = FULL,
                 frame: torch.Tensor | None = None) -> Render:
    """Render each person of `cast` once, with one row of nuisance each; everything but JPEG.

    frame  (B, 2, 3), from cm at the pivot's distance to pixels: a photograph whose camera does not follow the
           face, so that roll, size and background are left to see. None: aligned to the ArcFace template.
    """
    device = cast.identities.device
    n = {name: torch.as_tensor(nuisance[name].to_numpy(np.float32), device=device) for name in COLUMNS}
    seeds = [int(s) for s in nuisance["style"]]
    style, backdrop, slip = (t.to(device) for t in _styles(seeds))
    points = express(cast.points, _expression(cast.identities, n))
    turn = camera.rotation(n["yaw"], n["pitch"], n["roll"])
    turned = camera.turn_head(points, turn)
    distance = 45 * 4 ** style[:, 32]  # from an arm's length to across a room, cm
    similarity, marks = _align(turned, n["jitter"], slip, distance, frame)
    light = shading.light_direction(n["light_angle"], 15 + 40 * style[:, 10])
    ambient = 0.42 - 0.25 * n["light_angle"].abs() / 100
    ambient = ambient if realism.light else torch.ones_like(ambient)
    scene = _Scene(turn, similarity, distance, light, ambient)

    greying = column(cast.identities, "greying")
    linear, depth, visible = _draw_head(scene, turned, cast.paint, n, greying)
    behind = background(backdrop, style[:, 16:32], linear.shape[-1])
    linear = torch.where((visible < 0).unsqueeze(1), behind, linear)
    linear, covered = _draw_occluders(scene, points, linear, depth, n, style)
    linear = linear * (n["light_level"][:, None] * _white_balance(style))[:, :, None, None]
    small = F.interpolate(linear, (SIZE, SIZE), mode="bilinear", antialias=True, align_corners=False)
    return Render(_capture(small, n, style, seeds), marks, _occluded_share(visible, covered), visible)


@dataclass(frozen=True)
class _Scene:
    turn: torch.Tensor        # (B, 3, 3)
    similarity: torch.Tensor  # (B, 2, 3)
    distance: torch.Tensor    # (B,)
    light: torch.Tensor       # (B, 3)
    ambient: torch.Tensor     # (B,)


def _styles(seeds):
    """Random numbers of each image: uniform (B, 33), backdrop (B, 3, 5, 5), landmark errors (B, 5, 2)."""
    draws = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        draws.append((torch.rand(33, generator=generator), torch.rand(3, 5, 5, generator=generator),
                      torch.randn(5, 2, generator=generator)))
    return (torch.stack(column) for column in zip(*draws))


def _expression(identities, n):
    """Weights of morphable.EXPRESSIONS."""
    face = torch.stack([n["mouth_open"], n["smile"], (n["age"] - 30) / 45], 1)
    man = torch.tanh(1.5 * column(identities, "sex"))
    return torch.cat([face, hair.shape(identities), man[:, None]], 1)


def _align(turned, jitter, slip, distance, frame=None):
    """Similarity onto the template from landmarks missed by jitter, or `frame`; true landmarks."""
    source = camera.landmarks(turned, distance)
    scale = camera.alignment(source)[:, :, 0].norm(dim=1)
    similarity = camera.alignment(source + slip * (jitter / scale)[:, None, None]) if frame is None else frame
    marks = source @ similarity[:, :, :2].transpose(1, 2) + similarity[:, None, :, 2]
    return similarity, marks


def _rasterise(scene, turned, planes):
    """Visible surface: planes looked up per pixel, light per pixel, sample numbers and depth."""
    size = int(SIZE * DETAIL)
    crop = camera.to_crop(turned, scene.similarity, scene.distance)
    crop[:, :2] = (crop[:, :2] + 0.5) * DETAIL
    sample, depth = zbuffer.visible_samples(crop, size, REFINEMENT)
    where = zbuffer.surface_coordinates(sample, GRID_ROWS, GRID_COLUMNS, REFINEMENT)
    lit = shading.illuminate(shading.normals(turned), scene.light, scene.ambient)
    lit = F.grid_sample(lit, where, align_corners=True)
    return F.grid_sample(planes, where, align_corners=True), lit, sample, depth


def _draw_head(scene, turned, paint, n, greying):
    texels, lit, sample, depth = _rasterise(scene, turned, paint)
    row, column = texture.CHEEK
    cheek = paint[:, :3, row, column]
    albedo, gloss = shading.skin_colours(texels, cheek, n["eyes_closed"], n["age"], greying)
    return shading.reflect(albedo, gloss, lit), depth, sample


def _draw_occluders(scene, points, linear, depth, n, style):
    """Paint what stands before the face; returns the picture and the opacity (B, S, S) of the cover."""
    covered = torch.zeros_like(depth)
    for kind in occluders.SHELLS:
        rows = (n[kind] > 0).nonzero().flatten()
        if len(rows) == 0:
            continue
        part = _Scene(*(getattr(scene, field.name)[rows] for field in fields(scene)))
        shell = camera.turn_head(occluders.shell_points(kind, points[rows]), part.turn)
        planes = occluders.shell_texture(kind, n[kind][rows], style[rows])
        texels, lit, sample, near = _rasterise(part, shell, planes)
        opacity = texels[:, 3] * (sample >= 0) * (near > depth[rows])
        colour = shading.reflect(texels[:, :3], torch.full_like(opacity, 0.08), lit)
        linear[rows] = torch.lerp(linear[rows], colour, opacity.unsqueeze(1).expand_as(colour))
        covered[rows] = torch.maximum(covered[rows], opacity)
    if (n["bar"] > 0).any():
        opacity, colour = occluders.bar_cover(n["bar"], style, depth.shape[-1])
        linear = torch.lerp(linear, 0.9 * colour.expand_as(linear), opacity.expand_as(linear))
        covered = torch.maximum(covered, opacity[:, 0])
    return linear, covered


def _white_balance(style):
    """Gain (B, 3) of red, green and blue: warm lamps, cool shade, a little green or magenta."""
    warm, green = 0.19 * (style[:, 11] - 0.5), 0.06 * (style[:, 12] - 0.5)
    return torch.stack([1 + warm, 1 + green, 1 - 1.2 * warm], 1)


def _occluded_share(visible, covered):
    if not (covered > 0.5).any():
        return covered.new_zeros(len(covered))
    head = average_head()
    facial = (head.angle.abs() < 1.35) & (head.face_y > -5) & (head.face_y < 11.2)
    grid = ((GRID_ROWS - 1) * REFINEMENT, (GRID_COLUMNS - 1) * REFINEMENT)
    fine = F.interpolate(facial[None, None].float(), grid).flatten().to(visible.device)
    face = fine[visible.clamp(min=0)] * (visible >= 0)
    return (face * (covered > 0.5)).sum((1, 2)) / face.sum((1, 2)).clamp(min=1)


def _capture(linear, n, style, seeds):
    images = shading.grade(shading.to_display(linear), style[:, 13], style[:, 15])
    images = capture.motion_blur(images, n["motion"], torch.pi * style[:, 14])
    images = capture.blur_and_resample(images, n["defocus"], n["resolution"])
    return capture.sensor_noise(images, n["noise"], seeds).clamp(0, 1)
