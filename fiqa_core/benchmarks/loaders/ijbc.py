"""IJB-C (and IJB-B) as insightface packs it: loose crops, five landmarks each, and lists of template pairs.

`meta/ijbc_name_5pts_score.txt` and `meta/ijbc_face_tid_mid.txt` list the same faces in the same order;
`meta/ijbc_template_pair_label.txt` compares templates. Frames of one clip share a media id and count once.
The lists name no person: templates joined by genuine pairs are taken as one. NIST has not given out the set
since March 2023, so it is optional everywhere and never fetched. Source: Maze et al., ICB 2018.
"""
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fiqa_core.base.errors import FiqaError
from fiqa_core.benchmarks.loaders.listing import Expected, Facts, FilePictures, Listing
from fiqa_core.benchmarks.loaders.pair_checks import (count_notes, first_few, left_out_note, missing_note,
                                                      read_columns, require, which_missing)

PUBLISHED = {"ijbc": {"faces": 469_375, "templates": 23_124, "pairs": 15_658_489, "genuine pairs": 19_557},
             "ijbb": {"faces": 227_630, "templates": 12_115, "pairs": 8_010_270, "genuine pairs": 10_270}}
TERMS = "agreement with NIST; not given out since 2023-03-14"
FACTS = Facts(TERMS, "only an own copy from before will do, in insightface's layout (loose_crop, meta)",
              side=150,
              expect=(Expected("images", "loose_crop", pictures=PUBLISHED["ijbc"]["faces"]),
                      *(Expected(path=f"meta/ijbc_{part}.txt", lines=PUBLISHED["ijbc"][lines])
                        for part, lines in (("name_5pts_score", "faces"), ("face_tid_mid", "faces"),
                                            ("template_pair_label", "pairs")))),
              counts=PUBLISHED["ijbc"], aligned=True)
FACES = "a file name, a template id and a media id"
POINTS = "a file name, x and y of five landmarks, and a detector score"
PAIRS = "two template ids and a label"
POINT_KINDS = {"name": str, **{f"{axis}{i}": float for i in range(1, 6) for axis in "xy"}, "score": float}
DOUBTFUL = 0.5  # detector score below which insightface's packs found a face at the second attempt only


def ijbc(name: str, folder: Path | str, meta: Path | str | None = None, images: Path | str | None = None,
         allow_missing: bool = False) -> Listing:
    """The listing of IJB-C or IJB-B in `folder`, with given landmarks and template pairs.

    meta, images   where the three lists and the crops lie, if not in folder/meta and folder/loose_crop
    Images have the column `detector_score` in [0, 1]; pairs' a and b are categoricals of template ids, so
    that 15.7 million pairs take 0.1 GB. Raises FiqaError for lists that do not fit together.
    """
    folder = Path(folder)
    meta = Path(meta) if meta else folder / "meta"
    images = Path(images) if images else folder / "loose_crop"
    prefix = find_prefix(meta)
    faces = read_faces(meta, prefix)
    templates, codes = np.unique(faces["template"].to_numpy(), return_inverse=True)
    pairs = read_pairs(meta / f"{prefix}_template_pair_label.txt", templates)
    subject = subjects(pairs, templates, meta / f"{prefix}_template_pair_label.txt")
    notes = template_counts(PUBLISHED[prefix], faces, templates, pairs) + face_notes(faces)
    present, pairs, more = present_faces(faces["name"], images, codes, templates, pairs, meta, allow_missing)
    faces, codes, ids = faces[present], codes[present], pd.Index(templates.astype(str))
    return Listing(name, images_table(faces, ids[codes], ids[subject[codes]]), pairs,
                   FilePictures(images, tuple(faces["name"])), landmarks=landmarks_of(faces),
                   notes=(*notes, *more))


def template_counts(published: dict, faces: pd.DataFrame, templates: np.ndarray,
                    pairs: pd.DataFrame) -> list[str]:
    """Notes on counts other than the published ones."""
    return count_notes(published, {"faces": len(faces), "templates": len(templates), "pairs": len(pairs),
                                   "genuine pairs": int(pairs["genuine"].sum())})


def present_faces(names: pd.Series, folder: Path, codes: np.ndarray, templates: np.ndarray,
                  pairs: pd.DataFrame,
                  source: Path, allow_missing: bool) -> tuple[np.ndarray, pd.DataFrame, list[str]]:
    """Which files `names` (N,) are there, the pairs between templates that keep a face, and notes.

    codes   (N,) the templates' places; pairs' a and b are such places, and categoricals of ids in the result
    """
    absent = which_missing(folder, names)
    notes = missing_note(names[absent].tolist(), len(names), "faces", source, folder, allow_missing)
    kept = np.bincount(codes[~absent], minlength=len(templates)) > 0
    usable, ids = kept[pairs["a"]] & kept[pairs["b"]], pd.Index(templates.astype(str))
    pairs = pairs[usable].reset_index(drop=True)
    pairs = pairs.assign(**{side: pd.Categorical.from_codes(pairs[side], ids) for side in "ab"})
    return ~absent, pairs, notes + left_out_note(usable, source)


def find_prefix(meta: Path) -> str:
    """ "ijbc" or "ijbb", whichever's lists lie in `meta`; FiqaError for neither or both."""
    require(meta, "folder of lists", "folder", "give meta: the folder that holds ijbc_face_tid_mid.txt")
    found = [prefix for prefix in PUBLISHED if (meta / f"{prefix}_face_tid_mid.txt").is_file()]
    if len(found) != 1:
        raise FiqaError(
            f"{meta} holds {'the lists of both IJB-B and IJB-C' if found else 'no ijbc_face_tid_mid.txt'}",
            "give meta: a folder with the three lists of one of the two",
        )
    return found[0]


def read_faces(meta: Path, prefix: str) -> pd.DataFrame:
    """One row per face: name, x1, y1, ..., y5, score, template (int), media (int); FiqaError as `ijbc`."""
    points_path, faces_path = (meta / f"{prefix}_{part}.txt" for part in ("name_5pts_score", "face_tid_mid"))
    points = read_columns(points_path, POINT_KINDS, POINTS, r"\s+")
    faces = read_columns(faces_path, {"name": str, "template": np.int64, "media": np.int64}, FACES, r"\s+")
    if len(points) != len(faces):
        raise FiqaError(f"{points_path.name} lists {len(points)} faces, {faces_path.name} {len(faces)}",
                        "take both lists from one copy of the benchmark")
    differ = (points["name"] != faces["name"]).to_numpy()
    if differ.any():
        row = int(differ.argmax())
        raise FiqaError(
            f"{faces_path}, line {row + 1}: {faces['name'][row]}, but {points_path.name} has "
            f"{points['name'][row]} there ({differ.sum()} lines differ)",
            "both lists name the same faces in the same order; restore them, do not sort them",
        )
    if not faces["name"].is_unique:
        raise FiqaError(f"{faces_path}: {faces['name'][faces['name'].duplicated()].iloc[0]} is listed twice",
                        "every face belongs to one template; restore the list")
    _check_points(points, points_path)
    return points.assign(template=faces["template"], media=faces["media"])


def _check_points(points: pd.DataFrame, path: Path) -> None:
    """FiqaError where the scores are none, or most landmarks are in another order than eyes, nose, mouth."""
    wrong = ~points["score"].between(0, 1).to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        raise FiqaError(f"{path}, line {row + 1}: {points['score'][row]:g} is no detector score from 0 to 1",
                        f"a line holds {POINTS}; restore the file")
    p = points
    plausible = (p["x1"] < p["x2"]) & (p["x4"] < p["x5"]) & ((p["y1"] + p["y2"]) / 2 < p["y3"])
    plausible &= p["y3"] < (p["y4"] + p["y5"]) / 2
    if len(points) and plausible.mean() < 0.5:
        raise FiqaError(
            f"{path}: in {1 - plausible.mean():.0%} of the faces the landmarks are not left eye, right eye, "
            "nose, left and right mouth corner as seen in the image",
            "write x and y of each point in turn, in this order, in pixels of the crop",
        )


def landmarks_of(faces: pd.DataFrame) -> np.ndarray:
    """(N, 5, 2) float64 x, y; NaN for a face whose points are not finite or lie all in one place."""
    points = faces.loc[:, "x1":"y5"].to_numpy(float).reshape(-1, 5, 2)
    known = np.isfinite(points).all(axis=(1, 2)) & (np.ptp(points, axis=1).max(axis=1) > 1e-6)
    return np.where(known[:, None, None], points, np.nan)


def face_notes(faces: pd.DataFrame) -> list[str]:
    """Faces whose landmarks are unknown or doubtful."""
    unknown = int(np.isnan(landmarks_of(faces)).any(axis=(1, 2)).sum())
    doubtful = int((faces["score"] < DOUBTFUL).sum())
    notes = [f"{unknown:,} faces have no usable landmarks"] if unknown else []
    if doubtful:
        notes.append(f"{doubtful:,} faces were detected with a score below {DOUBTFUL}: doubtful landmarks")
    return notes


def read_pairs(path: Path, templates: np.ndarray) -> pd.DataFrame:
    """a, b (codes into the sorted `templates`), genuine and fold (-1) of a pair list, else FiqaError."""
    table = read_columns(path, {"a": np.int32, "b": np.int32, "genuine": np.int16}, PAIRS, r"\s+")
    wrong = ~table["genuine"].isin((0, 1)).to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        raise FiqaError(f"{path}, line {row + 1}: label {table['genuine'][row]}",
                        "labels are 1 (genuine) or 0 (impostor)")
    sides = {side: template_codes(table[side].to_numpy(), templates, path) for side in "ab"}
    same = sides["a"] == sides["b"]
    if same.any():
        row = int(same.argmax())
        raise FiqaError(f"{path}, line {row + 1}: template {table['a'][row]} is compared with itself",
                        "drop the line")
    genuine = table["genuine"].to_numpy(np.int8)
    return pd.DataFrame({**sides, "genuine": genuine, "fold": np.full(len(genuine), -1, np.int8)})


def template_codes(ids: np.ndarray, templates: np.ndarray, path: Path) -> np.ndarray:
    """(P,) int32 places of `ids` in the sorted `templates`; FiqaError for ids that are not there."""
    codes = np.searchsorted(templates, ids).astype(np.int32)
    known = templates[np.minimum(codes, len(templates) - 1)] == ids
    if not known.all():
        strangers = np.unique(ids[~known])
        raise FiqaError(
            f"{path}, line {int((~known).argmax()) + 1}: {len(strangers)} templates are in no face list: "
            f"{first_few(strangers)}",
            "take pairs and faces from one copy of the benchmark (IJB-B and IJB-C number templates apart)",
        )
    return codes


def subjects(pairs: pd.DataFrame, templates: np.ndarray, path: Path) -> np.ndarray:
    """(T,) code of the first template of each template's person: what genuine pairs join is one person.

    Raises FiqaError where an impostor pair compares two templates that genuine pairs make one person.
    """
    genuine = pairs["genuine"].to_numpy() == 1
    a, b = pairs["a"].to_numpy(), pairs["b"].to_numpy()
    edges = coo_array((np.ones(genuine.sum(), np.int8), (a[genuine], b[genuine])), [len(templates)] * 2)
    person = connected_components(edges, directed=False)[1]
    clash = (person[a] == person[b]) & ~genuine
    if clash.any():
        row = int(clash.argmax())
        raise FiqaError(
            f"{path}, line {row + 1}: {templates[a[row]]} and {templates[b[row]]} are an impostor pair, but "
            f"genuine pairs make them one person ({clash.sum()} such lines)",
            "a label is wrong; restore the list",
        )
    return np.unique(person, return_index=True)[1][person]


def images_table(faces: pd.DataFrame, template: pd.Index, subject: pd.Index) -> pd.DataFrame:
    """The listing's images; a person is called by the lowest id of its templates."""
    return pd.DataFrame(
        {
            "image_id": faces["name"].to_numpy(object),
            "identity": "subject_" + subject,
            "template_id": template,
            "media_id": faces["media"].astype(str).to_numpy(object),
            "detector_score": faces["score"].to_numpy(),
        }
    )
