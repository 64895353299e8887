"""`python -m fiqa_core score`: quality scores of the images in a folder, one CSV row per image.

Rows are appended batch by batch, so a killed run goes on where it stopped. Two files beside the CSV tell what
its rows belong to: NAME.json keeps the settings, since scores of different methods or networks have
different scales and are never mixed, and NAME.pictures which file each score is of, so that a replaced
picture is scored again.

A thread reads, detects and aligns the pictures of the next batches while the network scores this one.
"""
import argparse
import json
import os
import sys
import time
from collections import Counter
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.base import project
from fiqa_core.base.ahead import ahead
from fiqa_core.base.device import default_device
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import digest, holding, stamp, write_csv, write_text
from fiqa_core.base.images import find_images, name_of, path_of, to_batch
from fiqa_core.base.progress import progress
from fiqa_core.benchmarks.enrolment import OK, Enrolment, face_reader
from fiqa_core.loading import load_method, load_recogniser, own_network
from fiqa_core.pipeline.suites import key_and_value
from fiqa_core.registry import find_method
from fiqa_core.weights.place import find
from fiqa_core.weights.presence import digest_of
from fiqa_core.weights.tensors import locate

COLUMNS = ["image", "score", "percentile", "status"]
PICTURES = ["image", "size", "modified", "changed", "digest"]
NOT_FINITE = "the score is not finite"


def run(args: argparse.Namespace) -> int:
    """Score what is not scored yet, as the arguments of `cli.score_arguments` say.

    Returns 0 if every image has a score, 1 if some have an error instead. Raises FiqaError where another
    process writes the same file.
    """
    if args.batch < 1:
        raise FiqaError(f"--batch {args.batch}", "give a number from 1")
    if args.device:
        os.environ["FIQA_DEVICE"] = args.device
    device = default_device()
    title = find_method(args.method).name
    names = [name_of(path, args.folder) for path in find_images(args.folder)]
    read = face_reader(args.landmarks, args.detector)
    weights, model = files(args)
    method = make_method(args, weights, model, device)
    with holding(args.out.resolve(), str(args.out)):
        finished = begin(args.out, settings_of(args, weights, model, device), args.folder)
        left = [name for name in names if name not in finished]
        if finished:
            print(f"{args.out}: {len(names) - len(left)} images are scored already, {len(left)} are left",
                  file=sys.stderr)
        batches = [left[first : first + args.batch] for first in range(0, len(left), args.batch)]
        prepared = ahead(lambda batch: (batch, picture_facts(args.folder, batch), faces_of(read, args.folder, batch)),
                         batches)
        begin_time = time.monotonic()
        for batch, pictures, faces in progress(prepared, f"score {title}", len(left), "images",
                                               weight=lambda step: len(step[0])):
            rows = score_batch(method, batch, faces, device)
            append(pictures_file(args.out), pictures)
            append(args.out, rows)
        return finish(args.out, names, len(left) / max(time.monotonic() - begin_time, 1e-9))


def files(args: argparse.Namespace) -> tuple[Path | None, Path | None]:
    """Checkpoint of the recogniser and of the model, given or as the pipeline wrote them; None: not used.

    Raises FiqaError for an option that the method does not use, or where one is missing.
    """
    method = find_method(args.method)
    needs = method.needs
    for option, value, unused in (
        ("--recogniser", args.recogniser, "recogniser" not in needs),
        ("--weights", args.weights, "recogniser" not in needs),
        ("--model", args.model, not {"diffusion", "model"} & {*needs}),
        ("--option", args.option or None, "model" in needs or not method.options()),
    ):
        if unused and value is not None:
            raise FiqaError(f"{option} has no use with --method {args.method}", "leave it out")
    if not needs:
        return None, None
    if "model" in needs:
        return None, find(args.model or _trained("--model", f"quality/{args.method}/0.pt"))
    if args.recogniser is None:
        raise FiqaError(
            f"--method {args.method} needs --recogniser",
            "name an architecture, for instance iresnet100, "
            "with --weights, or a recogniser of the workbook's own, for instance cosface",
        )
    model = find(args.model or own_network("diffusion", "0")) if "diffusion" in needs else None
    return find(args.weights or own_network("recognisers", args.recogniser)), model


def _trained(option: str, name: str) -> Path:
    """A network that `make repro` trained, in place of an option. Raises FiqaError outside a project."""
    try:
        return project.build() / name
    except FiqaError as error:
        raise FiqaError(error.problem, f"give {option}, or {error.remedy}") from None


def make_method(args: argparse.Namespace, weights: Path | None, model: Path | None, device):
    """The method the arguments describe, with networks from the two files."""
    place = "diffusion" if "diffusion" in find_method(args.method).needs else "model"
    return load_method(args.method, weights and load_recogniser(args.recogniser, weights), device=device,
                       precision=args.precision, **{place: model}, **dict(key_and_value(text) for text in args.option))


def faces_of(read, folder: Path, names: list[str]) -> list[Enrolment]:
    """What `read` extracts of each picture."""
    return [read(path_of(folder, name), name) for name in names]


def score_batch(method, names: list[str], faces: list[Enrolment], device) -> pd.DataFrame:
    """Rows image, score, percentile (empty until the end), status; NaN where no face was extracted."""
    good = np.array([not face.failure for face in faces])
    scores = np.full(len(names), np.nan)
    if good.any():
        scores[good] = method(to_batch(np.stack([face.crop for face in faces])[good], device)).cpu().numpy()
    lost = good & ~np.isfinite(scores)
    return pd.DataFrame({"image": names, "score": np.where(lost, np.nan, scores), "percentile": np.nan,
                         "status": np.where(lost, NOT_FINITE, [face.status for face in faces])})


def settings_of(args: argparse.Namespace, weights: Path | None, model: Path | None, device) -> dict:
    """What makes two scores comparable; batch size and place of the output do not matter."""
    return {"folder": str(args.folder.resolve()), "method": args.method, "recogniser": args.recogniser,
            "weights": _digest(weights), "model": _digest(model), "landmarks": _digest(args.landmarks),
            "detector": args.detector, "options": sorted(args.option), "device": device.type,
            "precision": args.precision}


def _digest(path: Path | None) -> str | None:
    return None if path is None else digest_of(locate(path))


def begin(out: Path, settings: dict, folder: Path) -> set[str]:
    """Open or continue `out`; returns the images that have a score. Images with an error are tried again, and
    those whose file in `folder` is another than the one that was scored.

    Raises FiqaError if `out` holds scores of other settings, or is not this command's file.
    """
    sidecar, pictures = out.with_name(out.name + ".json"), pictures_file(out)
    if out.is_dir():
        raise FiqaError(f"{out} is a folder", "name a CSV file as --out")
    if not out.exists():
        write_text(json.dumps(settings, indent=1) + "\n", sidecar)
        write_text(",".join(PICTURES) + "\n", pictures)
        write_text(",".join(COLUMNS) + "\n", out)
        return set()
    if not sidecar.is_file():
        raise FiqaError(f"{out} exists, but {sidecar.name} with its settings does not",
                        "name another --out, or delete it")
    try:
        other = {"precision": "float32", **json.loads(sidecar.read_text(encoding="utf-8"))}
    except ValueError:
        raise FiqaError(f"{sidecar} is damaged", f"delete it and {out.name}, or name another --out") from None
    differing = [key for key in settings if settings[key] != other.get(key)]
    if differing:
        key = differing[0]
        raise FiqaError(f"{out} was scored with {key} = {other.get(key)}, now {key} = {settings[key]}",
                        "name another --out, or delete it")
    rows = whole_rows(out, COLUMNS)
    rows = rows[rows["status"] == OK]
    known = whole_rows(pictures, PICTURES).drop_duplicates("image",
                                                           keep="last") if pictures.is_file() else None
    facts = {} if known is None else {row["image"]: row for row in known.to_dict("records")}
    same = np.array([is_scored(folder, name, facts.get(name)) for name in rows["image"]], bool)
    if not same.all():
        print(f"{out}: {(~same).sum()} scores are of pictures that are gone or were replaced; they are "
              "dropped",
              file=sys.stderr)
    rows = rows[same]
    write_csv(rows, out, digits=9)
    write_csv(pd.DataFrame([facts[name] for name in rows["image"]], columns=PICTURES), pictures)
    return set(rows["image"])


def pictures_file(out: Path) -> Path:
    """The file beside `out` that says which pictures were scored."""
    return out.with_name(out.name + ".pictures")


def picture_facts(folder: Path, names: list[str]) -> pd.DataFrame:
    """What tells each picture from another of its name: stamp and digest; nothing of unreadable ones."""
    rows = []
    for name in names:
        try:
            path = path_of(folder, name)
            rows.append({"image": name, **stamp(path), "digest": digest(path)})
        except OSError:
            continue
    return pd.DataFrame(rows, columns=PICTURES)


def is_scored(folder: Path, name: str, known: dict | None) -> bool:
    """Whether the picture is the file with the `known` facts: untouched since, or of equal content."""
    path = path_of(folder, name)
    if known is None or not path.is_file():
        return False
    return all(known[key] == value for key, value in stamp(path).items()) or known["digest"] == digest(path)


def whole_rows(path: Path, columns: list[str]) -> pd.DataFrame:
    """The table's whole lines: a kill in the middle of a line leaves half a line, which is not among them."""
    text = path.read_text(encoding="utf-8")
    try:
        rows = pd.read_csv(StringIO(text[: text.rfind("\n") + 1]), keep_default_na=False,
                           dtype={"image": str, "status": str, "digest": str},
                           na_values={"score": [""], "percentile": [""]})
    except (pd.errors.ParserError, pd.errors.EmptyDataError):
        rows = pd.DataFrame()
    if list(rows) != columns:
        raise FiqaError(f"{path} is not a table of {', '.join(columns)}", "name another --out, or delete it")
    return rows


def append(out: Path, rows: pd.DataFrame) -> None:
    with open(out, "a", encoding="utf-8", newline="") as file:
        rows.to_csv(file, header=False, index=False, float_format="%.9g", lineterminator="\n")
        file.flush()
        os.fsync(file.fileno())


def finish(out: Path, names: list[str], rate: float) -> int:
    """Sort the rows by image, add percentiles, say what failed and how many images a second it took; the exit
    code."""
    rows = whole_rows(out, COLUMNS)
    rows = rows[rows["image"].isin(names)].sort_values("image").reset_index(drop=True)
    rows["percentile"] = (100 * (rows["score"].rank() - 0.5) / rows["score"].count()).round(2)
    write_csv(rows, out, digits=9)
    failed = Counter(rows.loc[rows["status"] != OK, "status"])
    print(f"{out}: {len(rows) - failed.total()} images scored, {failed.total()} without a score"
          f"{f', {rate:.3g} images/s' if rate else ''}",
          file=sys.stderr)
    for status, count in failed.most_common(5):
        print(f"  {count} x {status}", file=sys.stderr)
    return 1 if failed else 0
