"""What every loader asks of a pair list: counts, labels, folds. Wrong ones are errors, other counts a note.

A table of pairs has path_a, path_b, identity_a, identity_b, genuine (1 or 0), fold (-1 unknown) and line,
where the pair stands in its list.

Large text tables of numbers: read by pandas' C parser, searched line by line only to name a defect.

From a checked table of pairs of image files to a listing: which files there are, and how each is read.

What loaders of large official forms share: required files, missing pictures, published counts.

The layout that CALFW and CPLFW share: no header, two lines `file_name token` per pair, one flat folder.
"""
import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import read_image
from fiqa_core.benchmarks.loaders.listing import Listing


def read_lines(path: Path) -> list[str]:
    """The lines of a text file without empty ones at its end; FiqaError if it is missing or not text."""
    if not path.is_file():
        raise FiqaError(f"list {path} is missing", "check the path")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise FiqaError(f"{path} is not a text file", "give the list, not an archive or an image") from None
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


PUBLISHED_MISTAKES = 0.01  # share of contradictions that a published list is known to hold; kept and noted


@dataclass(frozen=True)
class Protocol:
    """How many pairs, folds, and images and identities in pairs were published; None: unknown."""

    genuine: int
    impostor: int
    folds: int | None = None
    images: int | None = None
    identities: int | None = None


def first_few(names: list, most: int = 3) -> str:
    """The first names of a list, and how many more there are: "a, b, c and 4 more"."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(str(name) for name in names[:most]) + more


def require(path: str | Path, what: str, kind: str = "file") -> Path:
    """`path` as a Path; FiqaError naming it as `what` unless it is a "file" or a "folder"."""
    path = Path(path)
    if not (path.is_file() if kind == "file" else path.is_dir()):
        raise FiqaError(f"{what} {path} is missing", "check the path in params.yaml or in the suite's file")
    return path


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def count_notes(protocol: Protocol, pairs: pd.DataFrame, images: pd.DataFrame) -> list[str]:
    """One note per number that is not the published one. pairs: genuine, fold; images: identity."""
    genuine, folds = int(pairs["genuine"].sum()), pairs["fold"][pairs["fold"] >= 0]
    found = {
        "genuine pairs": (genuine, protocol.genuine),
        "impostor pairs": (len(pairs) - genuine, protocol.impostor),
        "folds": (folds.nunique(), protocol.folds if len(folds) else None),
        "images in pairs": (len(images), protocol.images),
        "identities": (images["identity"].nunique(), protocol.identities),
    }
    return [f"{number:,} {what}, the published protocol has {published:,}"
            for what, (number, published) in found.items() if published not in (None, number)]


def label_notes(pairs: pd.DataFrame, path: Path, tolerance: float = 0.0, unit: str = "line") -> list[str]:
    """Notes on pairs whose label contradicts their identities, of one image with itself, and given twice.

    Raises FiqaError that names the first line where more than the share `tolerance` of the pairs do so;
    a pair given twice is never an error. `unit` is what the column line counts.
    """
    same = (pairs["identity_a"] == pairs["identity_b"]).to_numpy()
    wrong = same != (pairs["genuine"] == 1).to_numpy()
    itself = (pairs["path_a"] == pairs["path_b"]).to_numpy()
    notes = []
    for mask, what in ((wrong, "labels contradict the identities of their images"),
                       (itself, "pairs compare an image with itself")):
        if mask.any():
            first = pairs.iloc[int(mask.argmax())]
            text = (
                f"{path}, {unit} {first['line']}: {int(mask.sum())} of {len(pairs):,} {what}, first "
                f"{first['path_a']} and {first['path_b']} with genuine = {first['genuine']}"
            )
            if mask.mean() > tolerance:
                raise FiqaError(text, "correct the list, or get it again from where it was published")
            notes.append(f"{text}; kept as published")
    return notes + _repeated(pairs, path, unit)


def _repeated(pairs: pd.DataFrame, path: Path, unit: str) -> list[str]:
    codes, _ = pd.factorize(pd.concat([pairs["path_a"], pairs["path_b"]], ignore_index=True))
    sides = pd.DataFrame(np.sort(codes.reshape(2, -1), axis=0).T)
    twice = sides.duplicated().to_numpy()
    if not twice.any():
        return []
    first = pairs["line"].iloc[int(twice.argmax())]
    return [f"{path}, {unit} {first}: {int(twice.sum())} pairs stand in the list twice, this one first"]


def fold_notes(pairs: pd.DataFrame, path: Path, disjoint: bool) -> list[str]:
    """A note on identities that occur in several folds; FiqaError where the protocol says `disjoint`."""
    sides = [pairs[["fold", f"identity_{side}"]].set_axis(["fold", "identity"], axis=1) for side in "ab"]
    held = pd.concat(sides).query("fold >= 0").drop_duplicates()
    shared = held[held["identity"].duplicated(keep=False)].sort_values(["identity", "fold"])
    if shared.empty:
        return []
    first, folds = next(iter(shared.groupby("identity")["fold"]))
    text = (
        f"{path}: {shared['identity'].nunique()} identities occur in several folds, {first} in folds "
        f"{' and '.join(str(fold) for fold in folds)} first"
    )
    if disjoint:
        raise FiqaError(text, "the published folds share nobody: get the list again, or correct its order")
    return [text]


def folds_by_position(genuine: np.ndarray, folds: int = 10) -> np.ndarray:
    """Folds 1..`folds` of a list (N,) of labels that codes none: equal blocks, half of each genuine.

    -1 everywhere if its blocks are not balanced so: then the order says nothing about folds.
    """
    genuine = np.asarray(genuine, int)
    size = len(genuine) // folds
    if size == 0 or len(genuine) % folds or (2 * genuine.reshape(folds, size).sum(axis=1) != size).any():
        return np.full(len(genuine), -1)
    return np.arange(len(genuine)) // size + 1


LOOKED_AT = 16  # pictures whose size tells whether a set is aligned


@dataclass(frozen=True)
class FilePictures:
    """Row -> picture of the file `folder / names[row]`, uint8 (H, W, 3); FiqaError if it is not intact.

    `failed` are rows whose list says that no face was found: a FiqaError too, so that they count as failures.
    """

    folder: Path
    names: tuple[str, ...]
    failed: frozenset[int] = frozenset()

    def __call__(self, row: int) -> np.ndarray:
        if row in self.failed:
            raise FiqaError(f"{self.names[row]} is listed as a failure (fte = 1)",
                            "set fte to 0 to use the image")
        return read_image(self.folder / self.names[row])


def file_listing(name: str, folder: Path, pairs: pd.DataFrame, path: Path, protocol: Protocol,
                 notes: list[str], aligned: bool | None = None, allow_missing: bool = False) -> Listing:
    """The listing of `pairs` (columns as in `checks`) between images below `folder`, image_id = path there.

    path           the pair list, for messages
    aligned        None: told by the pictures' size (`look_aligned`)
    allow_missing  leave out pairs with an image that is not there, with a note, instead of a FiqaError
    """
    pairs, missing = present_pairs(pairs, folder, path, allow_missing)
    images = image_table(pairs)
    read = FilePictures(folder, tuple(images["image_id"]))
    table = pairs.rename(columns={"path_a": "a", "path_b": "b"})[["a", "b", "genuine", "fold"]]
    return Listing(name=name, images=images, pairs=table.reset_index(drop=True), read=read,
                   aligned=look_aligned(read, len(images), folder) if aligned is None else aligned,
                   notes=(*notes, *missing, *count_notes(protocol, table, images)))


def image_table(pairs: pd.DataFrame) -> pd.DataFrame:
    """The images of `pairs` once each, sorted by path: image_id, identity, template_id, media_id."""
    sides = [pairs[[f"path_{side}", f"identity_{side}"]].set_axis(["image_id", "identity"], axis=1)
             for side in "ab"]
    images = pd.concat(sides).drop_duplicates("image_id").sort_values("image_id", ignore_index=True)
    return images.assign(template_id=images["image_id"], media_id=images["image_id"])


def missing_files(names: pd.Series, folder: Path) -> list[str]:
    """Those of `names`, each once and sorted, that are no files below `folder`."""
    return sorted(name for name in names.unique() if not (folder / name).is_file())


def present_pairs(pairs: pd.DataFrame, folder: Path, path: Path,
                  allow_missing: bool) -> tuple[pd.DataFrame, list[str]]:
    """The pairs whose images are both there, and a note on the others; FiqaError as in `file_listing`."""
    names = pd.concat([pairs["path_a"], pairs["path_b"]])
    missing = missing_files(names, folder)
    if not missing:
        return pairs, []
    kept = pairs[~(pairs["path_a"].isin(missing) | pairs["path_b"].isin(missing))]
    text = f"{path}: {len(missing):,} of {names.nunique():,} images are not in {folder}: {first_few(missing)}"
    if not allow_missing or kept.empty:
        raise FiqaError(
            text,
            "complete the folder, or give the one that the list's names start from; allow_missing: true "
            "leaves the pairs of missing images out and reports their number",
        )
    return kept, [f"{text}; {len(pairs) - len(kept):,} of {len(pairs):,} pairs were left out for it"]


def look_aligned(read: Callable[[int], np.ndarray], count: int, where: Path) -> bool:
    """True if pictures spread over the `count` rows of `read` are all 112 x 112 pixels, False if none is.

    Pictures that cannot be decoded are passed over. Raises FiqaError for a mixture.
    """
    sizes = []
    for row in np.unique(np.linspace(0, count - 1, min(count, LOOKED_AT)).astype(int)):
        try:
            sizes.append(read(int(row)).shape[:2])
        except FiqaError:
            continue
    crops = sizes.count((112, 112))
    if 0 < crops < len(sizes):
        other = next(size for size in sizes if size != (112, 112))
        raise FiqaError(
            f"{where}: of {len(sizes)} pictures {crops} have 112 x 112 pixels and {len(sizes) - crops} have "
            f"not (one has {other[1]} x {other[0]})",
            "give one kind: aligned crops or original photographs; or say which with aligned: true or false",
        )
    return crops > 0


@dataclass(frozen=True)
class CutPictures:
    """The `read` of a listing of faces labelled in whole pictures: row -> uint8 (H, W, 3) RGB inside a box.

    boxes   (N, 4) int left, top, right, bottom in pixels of folder/names[row], cut to its borders
    Raises FiqaError if the file cannot be decoded or the box lies outside it.
    """

    folder: Path
    names: tuple[str, ...]
    boxes: np.ndarray

    def __call__(self, row: int) -> np.ndarray:
        name = self.names[row]
        return cut(read_image(self.folder / name), self.boxes[row], name)


def cut(picture: np.ndarray, box: np.ndarray, name: str) -> np.ndarray:
    """The part of `picture` (H, W, 3) inside `box` (left, top, right, bottom); FiqaError if there is none."""
    left, top = np.maximum(box[:2], 0)
    part = picture[top : max(box[3], 0), left : max(box[2], 0)]
    if not part.size:
        size = f"{picture.shape[1]} x {picture.shape[0]}"
        raise FiqaError(f"{name}: the labelled face lies outside the {size} pixels", "correct its box")
    return part


def boxes_around(centres: np.ndarray, sizes: np.ndarray, margin: float) -> np.ndarray:
    """(N, 4) int left, top, right, bottom around centres (N, 2), `margin` times as large as sizes (N, 2)."""
    half = sizes * margin / 2
    return np.rint(np.hstack([centres - half, centres + half])).astype(np.int64)


def existing(path: Path, what: str, remedy: str) -> Path:
    """`path` if it exists, else FiqaError."""
    if not path.exists():
        raise FiqaError(f"{what} {path} is missing", remedy)
    return path


def first_existing(candidates: list[Path]) -> Path | None:
    """The first of the paths that exists, None if none does."""
    return next((path for path in candidates if path.exists()), None)


def which_missing(folder: Path, names) -> np.ndarray:
    """(N,) bool: which of the `names`, relative to `folder`, are not there.

    Lists every folder once: half a million pictures cost a second, not half a million look-ups.
    """
    listed: dict[str, set[str]] = {}
    absent = np.empty(len(names), bool)
    for row, name in enumerate(names):
        parent, _, file = name.rpartition("/")
        if parent not in listed:
            place = folder / parent
            listed[parent] = set(os.listdir(place)) if place.is_dir() else set()
        absent[row] = file not in listed[parent]
    return absent


def check_missing(names, total: int, what: str, folder: Path, allow_missing: bool) -> None:
    """FiqaError that counts the missing `names` and shows the first; none, or some if allowed, are fine."""
    if len(names) == total or (len(names) and not allow_missing):
        raise FiqaError(f"{len(names)} of {total} {what} are not in {folder}: {first_few(names)}",
            "complete the folder, or set allow_missing: true to leave out the comparisons that need them")


def number_notes(counts: dict[str, int], published: dict[str, int], source: str) -> list[str]:
    """One note for every count that is not the published one."""
    return [f"{counts[what]:,} {what}; {source} has {published[what]:,}" for what in published
            if counts[what] != published[what]]


def read_columns(path: Path, kinds: dict[str, type], layout: str, separator: str = " ") -> pd.DataFrame:
    """The lines of `path` as a table with the columns of `kinds` (name -> str, float or an integer type).

    layout     what a line holds, for the remedy; the file has no header
    separator  one character, or "\\\\s+" for any white space
    Raises FiqaError naming the first line with another number of fields or a field of another kind.
    """
    existing(path, "file", f"restore it; its lines hold {layout}")
    options = {"sep": separator, "header": None, "quoting": 3, "keep_default_na": False, "engine": "c"}
    try:
        table = pd.read_csv(path, dtype=dict(enumerate(kinds.values())), **options)
    except (ValueError, OverflowError) as error:  # a ragged line raises ParserError, a ValueError
        raise _first_defect(path, kinds, layout, separator, str(error)) from None
    if table.shape[1] != len(kinds):
        raise _first_defect(path, kinds, layout, separator, f"{table.shape[1]} columns")
    return table.set_axis(list(kinds), axis=1)


def read_csv(path: Path, columns: list[str], remedy: str, separator: str = ",") -> pd.DataFrame:
    """A table of text with a header that names at least `columns`; missing fields are empty text.

    Raises FiqaError for a file that is missing or no such table, and a header without one of the columns.
    """
    existing(path, "file", remedy)
    quoting = 3 if separator == "\t" else 0  # quotation marks mean nothing in tab-separated files
    try:
        table = pd.read_csv(path, sep=separator, dtype=str, quoting=quoting, keep_default_na=False).fillna("")
    except ValueError as error:
        raise FiqaError(f"{path} cannot be read: {error}", remedy) from None
    missing = [column for column in columns if column not in table]
    if missing:
        raise FiqaError(f"{path} lacks column {', '.join(missing)}", remedy)
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes what the header does not name as an index
        raise FiqaError(f"{path}: the header names fewer fields than the lines have", remedy)
    return table


def _first_defect(path: Path, kinds: dict[str, type], layout: str, separator: str, found: str) -> FiqaError:
    remedy = f"its lines hold {layout}; restore the file"
    parsers = [_parser(kind) for kind in kinds.values()]
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            fields = line.split() if separator == r"\s+" else line.rstrip("\r\n").split(separator)
            if line.strip() and not _parses(fields, parsers):
                return FiqaError(f"{path}, line {number}: {line.strip()[:80]!r} is not {layout}", remedy)
    return FiqaError(f"{path} cannot be read: {found}", remedy)


def _parses(fields: list[str], parsers: list[Callable]) -> bool:
    try:
        return len([parse(field) for parse, field in zip(parsers, fields, strict=True)]) == len(parsers)
    except ValueError:
        return False


def _parser(kind: type) -> Callable:
    if kind is str:
        return str
    return float if kind is float else int


LAYOUT = "the list has no header and two consecutive lines `file_name token` per pair, with the same token"


def read_token_list(path: Path, name_form: str, tokens: range) -> pd.DataFrame:
    """The pairs of a list: path_a, path_b, identity_a, identity_b, token, line (of the first image, from 1).

    name_form  regular expression of a whole file name whose first group is the identity
    tokens     those that may occur
    Raises FiqaError naming the first line that is not of the layout.
    """
    lines = read_lines(path)
    if not lines or len(lines) % 2:
        raise FiqaError(f"{path}: {len(lines)} lines, but two make a pair", LAYOUT)
    rows = [_line(path, number, line, name_form, tokens) for number, line in enumerate(lines, start=1)]
    table = pd.DataFrame(rows, columns=["path", "identity", "token"])
    a, b = (table.iloc[side::2].reset_index(drop=True) for side in (0, 1))
    differ = a["token"] != b["token"]
    if differ.any():
        pair = int(differ.idxmax())
        raise FiqaError(
            f"{path}, lines {2 * pair + 1} and {2 * pair + 2}: the tokens of a pair are {a['token'][pair]} "
            f"and {b['token'][pair]}; they differ in {int(differ.sum())} pairs",
            f"{LAYOUT}; a line that is missing or too many shifts all that follow",
        )
    return pd.DataFrame(
        {
            "path_a": a["path"],
            "path_b": b["path"],
            "identity_a": a["identity"],
            "identity_b": b["identity"],
            "token": a["token"],
            "line": 2 * a.index + 1,
        }
    )


def _line(path: Path, number: int, line: str, name_form: str, tokens: range) -> tuple[str, str, int]:
    fields = line.rsplit(maxsplit=1)
    if len(fields) != 2 or not fields[1].isdecimal() or int(fields[1]) not in tokens:
        raise FiqaError(
            f"{path}, line {number}: {line!r} is no file name and token from {tokens[0]} to {tokens[-1]}",
            LAYOUT,
        )
    named = re.fullmatch(name_form, fields[0])
    if named is None:
        raise FiqaError(f"{path}, line {number}: {fields[0]!r} is not a name of the form that this set has",
            "get the list again: malformed names occur in the archive, none of them in the published list")
    return fields[0], named[1], int(fields[1])


def flat_folder(folder: Path, names: pd.Series) -> Path:
    """The folder that holds the files `names`: `folder` itself or the only one below it that does.

    Raises FiqaError if none does, or several: archives hold originals and aligned copies of equal names.
    """
    names = pd.unique(names)[:50]
    levels = [[folder],
              *(sorted(p for p in folder.glob(pattern) if p.is_dir()) for pattern in ("*", "*/*", "*/*/*"))]
    for level in levels:
        found = [place for place in level if any((place / name).is_file() for name in names)]
        if len(found) > 1:
            raise FiqaError(
                f"{folder} holds the images several times: {', '.join(str(place) for place in found)}",
                "give the one you mean as folder: original or aligned images",
            )
        if found:
            return found[0]
    raise FiqaError(f"{folder} holds no image of the list, {names[0]} for one",
                    "give the flat folder with all images")


def aligned_note(aligned: bool, folder: Path) -> list[str]:
    """What to know about crops of 112 x 112 pixels: that they are taken as they are."""
    if not aligned:
        return []
    note = (
        f"{folder}: the crops are taken as aligned to the ArcFace template; look at the contact sheet, and "
        "use the original images with a detector if eyes and mouth lie elsewhere"
    )
    return [note]
