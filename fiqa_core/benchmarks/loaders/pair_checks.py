"""What loaders of pair lists share: the checks of a list, the files it names, and the ways lists are written.

A table of pairs has path_a, path_b, identity_a, identity_b, genuine (1 or 0), fold (-1 unknown) and line,
where the pair stands in its list. Wrong labels and missing files are errors, other counts than the published
ones a note.
"""
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import first_line, read_text
from fiqa_core.base.images import path_of, shown
from fiqa_core.benchmarks.loaders.listing import FilePictures, Listing

PUBLISHED_MISTAKES = 0.01  # share of contradictions that a published list is known to hold; kept and noted
LOOKED_AT = 16  # pictures whose size tells whether a set is aligned
GONE = ("complete the folder, or give the one that the list's names start from; allow_missing: true leaves "
        "these and their pairs out and reports their number")


def first_few(names: Iterable, most: int = 3) -> str:
    """The first names of a list, and how many more there are: "a, b, c and 4 more"."""
    names = list(names)
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(str(name) for name in names[:most]) + more


def require(path: str | Path, what: str, kind: str = "file",
            remedy: str = "check the path in params.yaml or in the suite's file") -> Path:
    """`path` as a Path; FiqaError naming it as `what` unless it is a "file" or a "folder"."""
    path = Path(path)
    if not (path.is_file() if kind == "file" else path.is_dir()):
        raise FiqaError(f"{what} {path} is missing", remedy)
    return path


def first_existing(candidates: list[Path]) -> Path | None:
    """The first of the paths that exists, None if none does."""
    return next((path for path in candidates if path.exists()), None)


def levels_below(folder: Path, depth: int) -> Iterator[list[Path]]:
    """`folder`, then the folders in it, and so on, `depth` levels down, as archives unpack."""
    level = [folder]
    for _ in range(depth):
        yield level
        level = sorted(place for above in level for place in above.iterdir()
                       if place.is_dir() and not place.name.startswith("."))
    yield level


def list_lines(path: Path, layout: str) -> list[str]:
    """The lines of a text file up to the last that is not empty; FiqaError if there are none or no text."""
    return read_text(path, layout).rstrip().splitlines()


def which_missing(folder: Path, names: Iterable[str]) -> np.ndarray:
    """(N,) bool: which of the `names`, relative to `folder`, are no files there.

    Lists every folder once: half a million pictures cost a second, not half a million look-ups.
    """
    listed: dict[str, set[str]] = {}
    absent = []
    for name in names:
        parent, _, file = name.rpartition("/")
        if parent not in listed:
            place = path_of(folder, parent)
            entries = os.scandir(place) if place.is_dir() else ()
            listed[parent] = {shown(entry.name) for entry in entries if entry.is_file()}
        absent.append(file not in listed[parent])
    return np.array(absent, bool)


def missing_note(absent: list[str], total: int, what: str, source: Path, folder: Path,
                 allowed: bool) -> list[str]:
    """A note that counts what is `absent` of `total`; FiqaError where that is not `allowed`, or is all."""
    if not absent:
        return []
    text = f"{source}: {len(absent):,} of {total:,} {what} are not in {folder}: {first_few(sorted(absent))}"
    if not allowed or len(absent) == total:
        raise FiqaError(text, GONE)
    return [f"{text}; they were left out"]


def left_out_note(usable: np.ndarray, source: Path) -> list[str]:
    """A note on the pairs that are not `usable` (N,) for want of their images."""
    gone = int((~np.asarray(usable)).sum())
    text = f"{source}: {gone:,} of {len(usable):,} pairs were left out for want of their images"
    return [text] if gone else []


def count_notes(published: dict[str, int], found: dict[str, int]) -> list[str]:
    """One note for every count that is `found` and not the published one."""
    return [f"{found[what]:,} {what}, published are {number:,}" for what, number in published.items()
            if found.get(what, number) != number]


def pair_counts(pairs: pd.DataFrame, images: pd.DataFrame) -> dict[str, int]:
    """The counts of a benchmark by the names of `Facts.counts`; folds only where they are known."""
    genuine, folds = int(pairs["genuine"].sum()), pairs["fold"][pairs["fold"] >= 0]
    found = {"genuine pairs": genuine, "impostor pairs": len(pairs) - genuine, "images in pairs": len(images),
             "identities": images["identity"].nunique()}
    return found | ({"folds": folds.nunique()} if len(folds) else {})


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
            text = (f"{path}, {unit} {first['line']}: {int(mask.sum())} of {len(pairs):,} {what}, first "
                    f"{first['path_a']} and {first['path_b']} with genuine = {first['genuine']}")
            if mask.mean() > tolerance:
                raise FiqaError(text, "correct the list, or get it again from where it was published")
            notes.append(f"{text}; kept as published")
    twice = repeated(pairs["path_a"], pairs["path_b"])
    if twice.any():
        notes.append(f"{path}, {unit} {pairs['line'].iloc[int(twice.argmax())]}: {int(twice.sum())} pairs "
                     "stand in the list twice, this one first")
    return notes


def repeated(a: pd.Series, b: pd.Series) -> np.ndarray:
    """(N,) bool: which pairs stand before already, in either order."""
    codes, _ = pd.factorize(pd.concat([a, b], ignore_index=True))
    return pd.DataFrame(np.sort(codes.reshape(2, -1), axis=0).T).duplicated().to_numpy()


def fold_notes(pairs: pd.DataFrame, path: Path, disjoint: bool = False) -> list[str]:
    """A note on identities that occur in several folds; FiqaError where the protocol says `disjoint`."""
    sides = [pairs[["fold", f"identity_{side}"]].set_axis(["fold", "identity"], axis=1) for side in "ab"]
    held = pd.concat(sides).query("fold >= 0").drop_duplicates()
    shared = held[held["identity"].duplicated(keep=False)].sort_values(["identity", "fold"])
    if shared.empty:
        return []
    first, folds = next(iter(shared.groupby("identity")["fold"]))
    text = (f"{path}: {shared['identity'].nunique()} identities occur in several folds, {first} in folds "
            f"{' and '.join(str(fold) for fold in folds)} first")
    if disjoint:
        raise FiqaError(text, "the published folds share nobody: get the list again, or correct its order")
    return [text]


def folds_by_position(genuine: np.ndarray, path: Path, folds: int = 10) -> tuple[np.ndarray, list[str]]:
    """Folds 1..`folds` (N,) of a list of labels (N,) that codes none: equal blocks, half of each genuine.

    -1 everywhere, and a note, if its blocks are not balanced so: then the order says nothing about folds.
    """
    genuine = np.asarray(genuine, int)
    size = len(genuine) // folds
    if size == 0 or len(genuine) % folds or (2 * genuine.reshape(folds, size).sum(axis=1) != size).any():
        return np.full(len(genuine), -1), [f"{path}: its tenths are not half genuine each, folds are unknown "
                                           "(-1)"]
    return np.arange(len(genuine)) // size + 1, []


def pair_listing(name: str, folder: Path, pairs: pd.DataFrame, path: Path, counts: dict[str, int],
                 notes: list[str],
                 aligned: bool | None = None, allow_missing: bool = False, mistakes: float = 0.0,
                 disjoint: bool = False) -> Listing:
    """The checked listing of `pairs` between images below `folder`, image_id = path there.

    path      the pair list, for messages; `notes` on it come first
    aligned   None: told by the pictures' size (`look_aligned`)
    mistakes  share of wrong labels that the published list holds
    disjoint  True where its folds share nobody
    allow_missing  leave out pairs with an image that is not there, with a note, instead of a FiqaError
    """
    notes = [*notes, *label_notes(pairs, path, mistakes), *fold_notes(pairs, path, disjoint)]
    images = image_table(pairs)
    absent = images["image_id"][which_missing(folder, images["image_id"])]
    notes += missing_note(absent.tolist(), len(images), "images", path, folder, allow_missing)
    usable = ~(pairs["path_a"].isin(absent) | pairs["path_b"].isin(absent))
    if not usable.any():
        raise FiqaError(f"{path}: not one pair has both its images in {folder}", GONE)
    notes += left_out_note(usable, path)
    pairs = pairs[usable]
    images = image_table(pairs)
    table = pairs.rename(columns={"path_a": "a", "path_b": "b"})[["a", "b", "genuine", "fold"]]
    read = FilePictures(folder, tuple(images["image_id"]))
    aligned = look_aligned(read, len(images), folder) if aligned is None else aligned
    return Listing(name, images, table.reset_index(drop=True), read, aligned,
                   notes=(*notes, *count_notes(counts, pair_counts(table, images))))


def image_table(pairs: pd.DataFrame) -> pd.DataFrame:
    """The images of `pairs` once each, sorted by path: image_id, identity, template_id, media_id."""
    sides = [pairs[[f"path_{side}", f"identity_{side}"]].set_axis(["image_id", "identity"], axis=1)
             for side in "ab"]
    images = pd.concat(sides).drop_duplicates("image_id").sort_values("image_id", ignore_index=True)
    return images.assign(template_id=images["image_id"], media_id=images["image_id"])


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
        raise FiqaError(f"{where}: of {len(sizes)} pictures {crops} have 112 x 112 pixels and "
                        f"{len(sizes) - crops} have not (one has {other[1]} x {other[0]})",
                        "give one kind: aligned crops or original photographs; or say which with aligned: "
                        "true or false")
    return crops > 0


def read_columns(path: Path, kinds: dict[str, type], layout: str, separator: str = " ") -> pd.DataFrame:
    """The lines of a long list without a header as a table.

    kinds      its columns, name -> str, float or a type of int
    layout     what a line holds, for the remedy
    separator  one character, or "\\\\s+" for any white space
    Read by pandas' C parser, searched line by line only to name a defect. Raises FiqaError naming the first
    line with another number of fields or a field of another kind.
    """
    require(path, "list", remedy=f"restore it; its lines hold {layout}")
    options = {"sep": separator, "header": None, "quoting": 3, "keep_default_na": False, "engine": "c"}
    try:
        table = pd.read_csv(path, dtype=dict(enumerate(kinds.values())), **options)
    except (ValueError, OverflowError) as error:  # a ragged line raises ParserError, a ValueError
        raise _first_defect(path, kinds, layout, separator, first_line(error)) from None
    if table.shape[1] != len(kinds):
        raise _first_defect(path, kinds, layout, separator, f"{table.shape[1]} columns")
    return table.set_axis(list(kinds), axis=1)


def _first_defect(path: Path, kinds: dict[str, type], layout: str, separator: str, found: str) -> FiqaError:
    remedy = f"its lines hold {layout}; restore the file"
    parsers = [kind if kind in (str, float) else int for kind in kinds.values()]
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            fields = line.split() if separator == r"\s+" else line.rstrip("\r\n").split(separator)
            try:
                fits = [parse(cell) for parse, cell in zip(parsers, fields, strict=True)]
            except ValueError:
                fits = []
            if line.strip() and not fits:
                return FiqaError(f"{path}, line {number}: {line.strip()[:80]!r} is not {layout}", remedy)
    return FiqaError(f"{path} cannot be read: {found}", remedy)


LAYOUT = "the list has no header and two consecutive lines `file_name token` per pair, with the same token"


def read_token_list(path: Path, name_form: str, tokens: range) -> pd.DataFrame:
    """The pairs of CALFW's and CPLFW's lists: path_a, path_b, identity_a, identity_b, token, line (from 1).

    name_form  regular expression of a whole file name whose first group is the identity
    tokens     those that may occur
    Raises FiqaError naming the first line that is not of the layout.
    """
    lines = list_lines(path, LAYOUT)
    if len(lines) % 2:
        raise FiqaError(f"{path}: {len(lines)} lines, but two make a pair", LAYOUT)
    rows = [_token_line(path, number, line, name_form, tokens) for number, line in enumerate(lines, start=1)]
    (path_a, identity_a, token), (path_b, identity_b, other) = (zip(*rows[side::2]) for side in (0, 1))
    differ = np.flatnonzero(np.not_equal(token, other))
    if len(differ):
        pair = int(differ[0])
        raise FiqaError(f"{path}, lines {2 * pair + 1} and {2 * pair + 2}: the tokens of a pair are "
                        f"{token[pair]} and {other[pair]}; they differ in {len(differ)} pairs",
                        f"{LAYOUT}; a line that is missing or too many shifts all that follow")
    return pd.DataFrame({"path_a": path_a, "path_b": path_b, "identity_a": identity_a,
                         "identity_b": identity_b,
                         "token": token, "line": range(1, len(lines), 2)})


def _token_line(path: Path, number: int, line: str, name_form: str, tokens: range) -> tuple[str, str, int]:
    fields = line.rsplit(maxsplit=1)
    if len(fields) != 2 or not fields[1].isdecimal() or int(fields[1]) not in tokens:
        raise FiqaError(f"{path}, line {number}: {line!r} is no file name and token from {tokens[0]} to "
                        f"{tokens[-1]}",
                        LAYOUT)
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
    for level in levels_below(folder, 3):
        found = [place for place in level if any((place / name).is_file() for name in names)]
        if len(found) > 1:
            raise FiqaError(f"{folder} holds the images several times: "
                            f"{', '.join(str(place) for place in found)}",
                            "give the one you mean as folder: original or aligned images")
        if found:
            return found[0]
    raise FiqaError(f"{folder} holds no image of the list, {names[0]} for one",
                    "give the flat folder with all images")


def aligned_note(listing: Listing, folder: Path) -> Listing:
    """`listing` with what to know about crops of 112 x 112 pixels: that they are taken as they are."""
    if not listing.aligned:
        return listing
    note = (f"{folder}: the crops are taken as aligned to the ArcFace template; look at the contact sheet, "
            "and use the original images with a detector if eyes and mouth lie elsewhere")
    return Listing(**{**vars(listing), "notes": (*listing.notes, note)})
