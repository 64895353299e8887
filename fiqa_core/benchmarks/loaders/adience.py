"""Adience: Flickr faces with age folds; a pair list of our own, since the set has no verification protocol.

`fold_0_data.txt` ... `fold_4_data.txt` list the usable faces. A person is a face_id; a user_id is an album,
which may show several people. Results of two papers compare only if their pair lists are the same, so ours
is drawn with a seed and its sha256 is printed. Source: Eidinger, Enbar and Hassner, TIFS 9(12), 2014.
"""
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import read_csv, refuse, write_text
from fiqa_core.benchmarks.loaders.drawing import draw_pairs, pair_list_hash, pair_list_text, read_drawn_pairs
from fiqa_core.benchmarks.loaders.listing import Expected, Facts, FilePictures, Listing
from fiqa_core.benchmarks.loaders.pair_checks import (count_notes, first_existing, left_out_note,
                                                      missing_note, which_missing)

FACTS = Facts("Creative Commons photographs, research",
              "fill in the form of the Open University of Israel (talhassner.github.io), take faces.tar.gz "
              "and the fold files", side=600,
              expect=(Expected(path="fold_0_data.txt|folds/fold_0_data.txt"),
                      Expected(path="fold_4_data.txt|folds/fold_4_data.txt"),
                      Expected(path="faces|aligned", pictures=26_580, at_least=19_370)),
              counts={"faces": 19_370, "identities": 2_284},
              estimates={"genuine pairs": 20_000, "impostor pairs": 20_000})
FOLDS = range(5)
KEYS = ["user_id", "original_image", "face_id"]
KEPT = ["age", "gender", "tilt_ang", "fiducial_yaw_angle", "fiducial_score"]
PREFIXES = {"faces": "coarse_tilt_aligned_face", "aligned": "landmark_aligned_face"}
LAYOUT = ("copy all five fold files; they are separated by tabs, and their first line names user_id, "
          "original_image, face_id, ...")


def adience(name: str, folder: Path | str, variant: str = "faces", frontal: bool = False,
            pairs: Path | str | None = None, sha256: str | None = None, genuine: int = 20_000,
            impostor: int = 20_000, per_identity: int = 50, seed: int = 0,
            allow_missing: bool = False) -> Listing:
    """The listing of Adience in `folder` (fold files in it or in folder/folds): the faces that are compared.

    variant   "faces" (loose crops) or "aligned" (Adience's own alignment, not the ArcFace template)
    frontal   the folds of nearly frontal faces only
    pairs     CSV file a, b, genuine. It is used if it exists, and written with the drawn list if not
    sha256    what the list's hash must be, if given
    genuine, impostor, per_identity, seed   as `draw_pairs` takes them
    Image ids are user_id/face_id.original_image in either variant. Raises FiqaError naming file and line.
    """
    folder = Path(folder)
    if variant not in PREFIXES:
        raise FiqaError(f"Adience has no variant {variant!r}", 'choose variant: "faces" or "aligned"')
    faces, notes = read_folds(folder, frontal)
    drawn = draw_pairs(faces, genuine, impostor, per_identity, seed)
    listed, more = settle(drawn, pairs and Path(pairs), faces, sha256, seed)
    notes += more
    if listed is drawn:
        notes += _shortage(drawn, genuine, impostor, per_identity)
    faces = faces[faces["image_id"].isin({*listed["a"], *listed["b"]})].reset_index(drop=True)
    absent = faces["image_id"][which_missing(folder / variant, paths(faces, variant))]
    notes += missing_note(absent.tolist(), len(faces), "faces", folder, folder / variant, allow_missing)
    usable = ~(listed["a"].isin(absent) | listed["b"].isin(absent))
    notes += left_out_note(usable, folder)
    listed, faces = listed[usable], faces[~faces["image_id"].isin(absent)].reset_index(drop=True)
    fold = faces.set_index("image_id")["fold"]
    sides = fold[listed["a"]].to_numpy(), fold[listed["b"]].to_numpy()
    return Listing(name, faces.assign(template_id=faces["image_id"], media_id=faces["image_id"]),
                   listed.assign(fold=np.where(sides[0] == sides[1], sides[0], -1)).reset_index(drop=True),
                   FilePictures(folder / variant, tuple(paths(faces, variant))), notes=tuple(notes))


def read_folds(folder: Path, frontal: bool = False) -> tuple[pd.DataFrame, list[str]]:
    """Faces of the five folds: image_id, identity, user_id, fold, what the files say of them; and notes."""
    kind = "fold_frontal" if frontal else "fold"
    first = first_existing([place / f"{kind}_0_data.txt" for place in (folder, folder / "folds")])
    if first is None:
        raise FiqaError(f"{folder} holds no {kind}_0_data.txt, nor does {folder / 'folds'}",
                        "put the five fold files beside the folder faces or aligned")
    folds = [read_fold(first.with_name(f"{kind}_{fold}_data.txt"), fold) for fold in FOLDS]
    faces = pd.concat(folds, ignore_index=True)
    twice = faces["image_id"].duplicated()
    notes = [f"{twice.sum()} faces are listed twice and counted once"] if twice.any() else []
    faces = faces[~twice].reset_index(drop=True)
    if not frontal:
        counts = {"faces": len(faces), "identities": faces["identity"].nunique()}
        notes += count_notes(FACTS.counts, counts)
    notes += _shared(faces, "user_id", "fold", "albums occur in several folds")
    notes += _shared(faces, "identity", "user_id", "face ids occur in several albums")
    return faces, notes


def read_fold(path: Path, fold: int) -> pd.DataFrame:
    """The faces of one fold file; FiqaError for a missing column, an empty field or a wrong face_id."""
    table = read_csv(path, dict.fromkeys(KEYS, str), LAYOUT, separator="\t")
    refuse((table[KEYS] == "").any(axis=1) | ~table["face_id"].str.fullmatch(r"\d+"), path,
           lambda row: f"{' '.join(table.iloc[row])[:60]!r} has an empty field, or a face_id that is no "
                       "number",
           LAYOUT)
    image_id = table["user_id"] + "/" + table["face_id"] + "." + table["original_image"]
    kept = table[["user_id"] + [column for column in KEPT if column in table]]
    return kept.assign(image_id=image_id, identity="face_" + table["face_id"], fold=fold)


def paths(faces: pd.DataFrame, variant: str) -> list[str]:
    """Files of the faces, relative to the variant's folder."""
    return [f"{album}/{PREFIXES[variant]}.{rest}" for album, rest in faces["image_id"].str.split("/", n=1)]


def settle(drawn: pd.DataFrame, path: Path | None, faces: pd.DataFrame, sha256: str | None,
           seed: int) -> tuple[pd.DataFrame, list[str]]:
    """The list to use, with a note of its hash: the file's if there is one, else the `drawn` one, which is
    written there. Raises FiqaError if the hash is not `sha256`."""
    listed = drawn
    if path is not None and path.is_file():
        listed = read_drawn_pairs(path, faces.set_index("image_id")["identity"])
    found, expected = pair_list_hash(listed), pair_list_hash(drawn)
    if sha256 is not None and found != sha256:
        raise FiqaError(f"the pair list of Adience has sha256 {found}, not {sha256}",
            "give the file of the list that is meant as pairs, or drop sha256 and accept another list")
    if path is not None and not path.is_file():
        write_text(pair_list_text(drawn), path)
    origin = f"drawn with seed {seed}" if found == expected else f"seed {seed} draws another, {expected}"
    genuine = int(listed["genuine"].sum())
    counts = f"{genuine:,} genuine and {len(listed) - genuine:,} impostor pairs"
    return listed, [f"pair list of {counts}, sha256 {found} ({origin}); papers use lists of their own"]


def _shortage(drawn: pd.DataFrame, genuine: int, impostor: int, per_identity: int) -> list[str]:
    found = int(drawn["genuine"].sum())
    return [f"only {have:,} of {wanted:,} {kind} pairs can be drawn with {per_identity} per identity"
        for kind, have, wanted in (("genuine", found, genuine), ("impostor", len(drawn) - found, impostor))
        if have < wanted]


def _shared(faces: pd.DataFrame, owner: str, within: str, what: str) -> list[str]:
    spread = faces.drop_duplicates([owner, within]).groupby(owner).size()
    count = int((spread > 1).sum())
    return [f"{count} {what}, {spread.idxmax()} first"] if count else []
