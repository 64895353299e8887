"""Stages `label`, `distil` and `train`: what the trained methods learn from, and their training.

One model per cross-fitted part of the training faces: see `outputs.crossfit`.
"""
from collections.abc import Callable, Iterator
from functools import partial as bound
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from fiqa_core.base import project
from fiqa_core.base.device import default_device
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.faces import FaceSet
from fiqa_core.base.files import read_table
from fiqa_core.base.project import settings
from fiqa_core.loading import load_quality, save_quality
from fiqa_core.pipeline.outputs import (chosen_faces, crossfit, load_training, pipeline_recogniser,
                                       recogniser_path)
from fiqa_core.pipeline.score import (entry_of, pipeline_method, quality_path, score_face_set, scoring_job,
                                      weights_of)
from fiqa_core.pipeline.stage_files import copy_checked, log_path, read_log, write_rows
from fiqa_core.recognisers.recogniser import Recogniser
from fiqa_core.registry import methods


def label_training_faces() -> pd.DataFrame:
    """Write build/labels/<model>.csv (image_id, score) and results/labels/labels.csv; returns the latter.

    `labels.images` training faces of each protocol that a distilled method learns from are labelled for each model,
    whole identities drawn with the seed (class centres need several images of one person); the rest of `labels` are options of DifFIQA. With 0
    images, for suites that take every distilled method from its authors, there are no labels.
    """
    options = dict(settings("labels"))
    count, tables = options.pop("images"), []
    faces, codes = load_training() if count else None, ["06_label", "05_score@diffiqa"]
    label_path(0).parent.mkdir(parents=True, exist_ok=True)
    for model, allowed, partial in crossfit(faces, "labels", codes, bound(weights_of, "diffiqa"),
                                            config=[settings("labels"), settings("on_diffusion")]):
        mask = np.any([draw_identities(faces.images, allowed & learnable(faces.images, slug), count, settings("seed"))
                       for slug in settings("distilled")], axis=0)
        scores = score_face_set(pipeline_method("diffiqa", model, **options), faces, mask=mask, partial=partial,
                                batch=settings("scoring.batch"), device=default_device(),
                                job=scoring_job("diffiqa", model, faces, **options))
        table = pd.DataFrame({"image_id": faces.images.loc[mask, "image_id"], "score": scores})
        write_rows(table, label_path(model))
        tables.append(table.assign(model=model))
    result = pd.concat(tables or [pd.DataFrame({"image_id": [], "score": [], "model": []})], ignore_index=True)
    write_rows(result, project.results() / "labels" / "labels.csv")
    return result


def draw_identities(images: pd.DataFrame, allowed: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Mask of about `count` allowed images: whole identities in a seeded order, those with most images first.

    Identities of one size class (1, 2-3, 4-7, ... images) are shuffled among themselves.
    """
    sizes = images.loc[allowed, "identity"].value_counts().sort_index()
    shuffled = sizes.iloc[np.random.default_rng(seed).permutation(len(sizes))]
    classes = np.floor(np.log2(shuffled.to_numpy())).astype(int)
    ordered = shuffled.iloc[np.argsort(-classes, kind="stable")]
    chosen = ordered.index[: int(np.searchsorted(ordered.cumsum().to_numpy(), count)) + 1]
    return np.asarray(allowed) & images["identity"].isin(chosen).to_numpy()


def learnable(images: pd.DataFrame, slug: str) -> np.ndarray:
    """Mask (N,) of the training images that a method learns from: those of its protocol, else of the suite's first.

    Raises FiqaError where the suite has no faces of its protocol.
    """
    protocols = images["protocol"] if "protocol" in images else pd.Series("", index=images.index)
    mask = (protocols == (methods()[slug].protocol or protocols.iloc[0])).to_numpy()
    if not mask.any():
        raise FiqaError(f"{slug} learns from the protocol {methods()[slug].protocol!r}, of which the suite has no faces",
                        f"name it in params.yaml, faces.training, or leave {slug} out")
    return mask


def label_path(model: int):
    return project.build() / "labels" / f"{model}.csv"


def labelled_faces(faces: FaceSet, model: int, slug: str) -> FaceSet:
    """The faces that one cross-fitted model of a method learns from, their DifFIQA scores as column `label`."""
    labels = read_table(label_path(model)).set_index("image_id")["score"]
    chosen = chosen_faces(faces, faces.images["image_id"].isin(labels.index).to_numpy() & learnable(faces.images, slug))
    images = chosen.images.assign(label=labels.loc[chosen.images["image_id"]].to_numpy())
    return FaceSet(chosen.name, chosen.pixels, images, chosen.pairs)


def train_method(slug: str, distil: Callable | None = None) -> pd.DataFrame:
    """Write build/quality/<slug>/<model>.pt and results/<section>/<slug>/training.csv; returns the latter.

    distil   `training.distillation.train_distilled`, for a method of section `distilled`
    The entry `<slug>` in section `trained` or `distilled` of params.yaml overrides the paper's numbers, and
    names the recogniser to begin with (`backbone` of a distilled one). Every cross-fitted model learns from
    the faces it may see. With `checkpoint` the authors' file is checked and taken instead, and the log is
    empty; `model` then names which of their models it is, where there are several.
    """
    section, config = methods()[slug].section, entry_of(slug)
    if "checkpoint" in config:
        copy_checked(config["checkpoint"], quality_path(slug, 0),
                     lambda path: load_quality(config.get("model", slug), path))
        table = pd.DataFrame({"model": pd.Series(dtype=int)})
    else:
        train = bound(distil, methods()[slug].build) if distil else methods()[slug].train
        if train is None:
            raise FiqaError(f"method {slug} is not trained here", f"give {section}.{slug}.checkpoint in params.yaml")
        table = _train_models(slug, section, config, train)
    write_rows(table, project.results() / section / slug / "training.csv")
    return table


def _train_models(slug: str, section: str, config: dict, train: Callable) -> pd.DataFrame:
    """Train all cross-fitted models of a method and save them; returns their logs, with column `model`."""
    logs = []
    for model, trained, recogniser, partial in learn(slug, section, config, train):
        save_quality(trained, slug, getattr(trained, "backbone", recogniser), quality_path(slug, model))
        logs.append(read_log(partial).assign(model=model))
    return pd.concat(logs, ignore_index=True)


def learn(slug: str, section: str, config: dict, train: Callable) -> Iterator[tuple[int, nn.Module, Recogniser, Path]]:
    """Train the cross-fitted models of a method: number, the trained method, the recogniser it began with, and the path
    of its partial work, whose log is read before the next one is asked for."""
    faces, distilled, config = load_training(), section == "distilled", dict(config)
    name = config.pop("backbone", settings("scoring.recogniser"))
    recogniser, config = pipeline_recogniser(name), {"seed": settings("seed"), **config}
    code = f"07_distil@{slug}" if distilled else f"07_train@{slug}"

    def reads(model: int) -> list[Path]:
        return [recogniser_path(name), *([label_path(model)] if distilled else [])]

    for model, allowed, partial in crossfit(faces, slug, code, reads, config=config, recogniser=name):
        seen = labelled_faces(faces, model, slug) if distilled else \
            chosen_faces(faces, allowed & learnable(faces.images, slug))
        trained = train(seen, recogniser, dict(config), partial, default_device(), log_path(partial))
        yield model, trained, recogniser, partial
