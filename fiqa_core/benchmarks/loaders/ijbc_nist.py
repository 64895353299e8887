"""IJB-C as NIST gave it out: protocol CSV files and whole pictures, 1:1 mixed verification.

The galleries G1 and G2 enrol one template per subject, `ijbc_1N_probe_mixed.csv` holds the probes, and
`ijbc_11_G1_G2_matches.csv` says which are compared. Whole pictures are cut around the labelled face and need
a detector. Frames with the same SIGHTING_ID are taken as one medium. Source: Maze et al., ICB 2018.
"""
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import read_csv
from fiqa_core.benchmarks.loaders.ijbc import PUBLISHED, TERMS, present_faces, template_codes, template_counts
from fiqa_core.benchmarks.loaders.listing import CutPictures, Expected, Facts, Listing, boxes_around
from fiqa_core.benchmarks.loaders.pair_checks import read_columns

FACTS = Facts(TERMS, "only an own copy from before will do (NIST's package with its folders protocols and "
                     "images)",
              expect=(Expected("images", "images"), Expected("meta", "protocols")), counts=PUBLISHED["ijbc"])
TEMPLATES = ("ijbc_1N_gallery_G1.csv", "ijbc_1N_gallery_G2.csv", "ijbc_1N_probe_mixed.csv")
MATCHES = "ijbc_11_G1_G2_matches.csv"
KINDS = {"TEMPLATE_ID": int, "SUBJECT_ID": int, "FILENAME": str, "SIGHTING_ID": int,
         **dict.fromkeys(("FACE_X", "FACE_Y", "FACE_WIDTH", "FACE_HEIGHT"), float)}
REMEDY = "copy the folder protocols of NIST's package completely"


def ijbc_nist(name: str, folder: Path | str, meta: Path | str | None = None, images: Path | str | None = None,
              margin: float = 2.2, allow_missing: bool = False) -> Listing:
    """The listing of NIST's package of IJB-C in `folder`.

    meta, images   where the CSV files and the pictures lie, if not in folder/protocols and folder/images
    margin         how many times the labelled box the picture is cut to (2.2: the crops of YTF)
    Image ids are template/sighting/file. Pairs' a and b are categoricals. Raises FiqaError naming the file.
    """
    folder = Path(folder)
    protocols = Path(meta) if meta else folder / "protocols"
    images = Path(images) if images else folder / "images"
    faces, notes = read_templates(protocols)
    templates, first, codes = np.unique(faces["TEMPLATE_ID"], return_index=True, return_inverse=True)
    pairs = read_matches(protocols / MATCHES, templates, faces["SUBJECT_ID"].to_numpy()[first])
    notes += template_counts(FACTS.counts, faces, templates, pairs)
    present, pairs, more = present_faces(faces["FILENAME"], images, codes, templates, pairs, protocols,
                                         allow_missing)
    faces = faces[present]
    return Listing(name, images_table(faces), pairs,
                   CutPictures(images, tuple(faces["FILENAME"]), face_boxes(faces, margin)),
                   notes=(*notes, *more))


def read_templates(protocols: Path) -> tuple[pd.DataFrame, list[str]]:
    """Faces of galleries and probes with the columns of KINDS, and notes; FiqaError for a defect."""
    tables = [read_csv(protocols / file, KINDS, REMEDY)[list(KINDS)] for file in TEMPLATES]
    faces = pd.concat(tables, ignore_index=True)
    twice = faces.duplicated(["TEMPLATE_ID", "SIGHTING_ID", "FILENAME"])
    notes = [f"{twice.sum():,} faces are listed twice in a template and counted once"] if twice.any() else []
    subjects = faces.groupby("TEMPLATE_ID")["SUBJECT_ID"].nunique()
    if (subjects > 1).any():
        raise FiqaError(f"{protocols}: template {subjects.idxmax()} has {subjects.max()} subjects",
                        "restore the CSV files")
    return faces[~twice].reset_index(drop=True), notes


def read_matches(path: Path, templates: np.ndarray, subjects: np.ndarray) -> pd.DataFrame:
    """a, b (codes into the sorted `templates`), genuine (same of `subjects` (T,)), fold -1; or FiqaError."""
    table = read_columns(path, {"a": np.int32, "b": np.int32}, "two template ids, separated by a comma", ",")
    sides = {side: template_codes(table[side].to_numpy(), templates, path) for side in "ab"}
    genuine = (subjects[sides["a"]] == subjects[sides["b"]]).astype(np.int8)
    return pd.DataFrame({**sides, "genuine": genuine, "fold": np.full(len(table), -1, np.int8)})


def face_boxes(faces: pd.DataFrame, margin: float) -> np.ndarray:
    """(N, 4) int boxes `margin` times the labelled faces; a face without a label gets the whole picture."""
    corner = faces[["FACE_X", "FACE_Y"]].to_numpy()
    size = faces[["FACE_WIDTH", "FACE_HEIGHT"]].to_numpy()
    known = np.isfinite(corner).all(axis=1) & (size > 0).all(axis=1)
    boxes = boxes_around(*(np.where(known[:, None], part, 0) for part in (corner + size / 2, size)), margin)
    return np.where(known[:, None], boxes, [0, 0, 2**31, 2**31])


def images_table(faces: pd.DataFrame) -> pd.DataFrame:
    """The listing's images."""
    template, sighting = (faces[column].astype(str) for column in ("TEMPLATE_ID", "SIGHTING_ID"))
    return pd.DataFrame(
        {
            "image_id": template + "/" + sighting + "/" + faces["FILENAME"],
            "identity": "subject_" + faces["SUBJECT_ID"].astype(str),
            "template_id": template,
            "media_id": sighting,
        }
    ).reset_index(drop=True)
