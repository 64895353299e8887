"""InsightFace's packed verification sets: lfw.bin, cfp_fp.bin, agedb_30.bin, calfw.bin, cplfw.bin.

One pickle of 2N encoded crops and N labels; crops 2i and 2i + 1 are pair i. There are no file names: a crop
is named after the first pair that has it, identical crops are one image, and people are what genuine pairs
connect (github.com/deepinsight/insightface).

The pickle inside an InsightFace .bin, read without running what it asks for.

A pickle is a program that may call whatever it names. Here it can name Python's containers, the few
functions of numpy that restore an array, and `_codecs.encode`. For numpy's stand-ins answer that record what
the pickle says: no array is made until its type and size have been checked, because numpy trusts the state
it is given and a crafted dtype would make it follow wild pointers.
"""
import hashlib
import io
import pickle
import pickletools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.images import decode_image
from fiqa_core.benchmarks.loaders.listing import Expected, Facts, Listing
from fiqa_core.benchmarks.loaders.pair_checks import (PUBLISHED_MISTAKES, count_notes, fold_notes,
                                                      folds_by_position, label_notes, look_aligned,
                                                      pair_counts, require)
from fiqa_core.weights.salvage import Restricted

LARGEST = {"genuine pairs": 3500, "impostor pairs": 3500}       # CFP's; the others have 3000
PUBLISHED = {**dict.fromkeys(("cfp_fp", "cfp_ff"), LARGEST),
             **dict.fromkeys(("lfw", "calfw", "cplfw", "agedb_30"), dict.fromkeys(LARGEST, 3000))}
FACTS = Facts("non-commercial research", "it lies in the zip files of the training sets in insightface's "
                                         "data-set zoo",
              side=112, expect=(Expected("file"),), estimates=LARGEST, aligned=True)
SOURCE = "get the file again from where it was published, and never open it with Python's own pickle"
PLAIN_TYPES = ("u1", "b1", "i1", "i4", "i8")  # of images and labels


class Dtype:
    """In place of numpy.dtype: `code` such as "u1"."""

    def __init__(self, code, *rest):
        self.code = code.decode("ascii", "replace") if isinstance(code, bytes) else str(code)

    def __setstate__(self, state):
        """Byte order, fields and the like: the types allowed here need none."""


class Array:
    """In place of numpy.ndarray: what a pickle says of one."""

    dtype, shape, raw = None, (), None

    def __setstate__(self, state):
        _, self.shape, self.dtype, _, self.raw = state


class Reconstruct:
    """In place of numpy's _reconstruct."""

    def __call__(self, kind, shape, code):
        return Array()


class FromBuffer:
    """In place of numpy's _frombuffer, by which protocol 5 restores arrays."""

    def __call__(self, raw, dtype, shape, order):
        array = Array()
        array.__setstate__((1, shape, dtype, False, raw))
        return array


class Scalar:
    """In place of numpy's scalar."""

    def __call__(self, dtype, raw):
        array = Array()
        array.__setstate__((1, (), dtype, False, raw))
        return array


class Latin1:
    """In place of _codecs.encode, by which protocol 2 stores bytes."""

    def __call__(self, text, codec):
        if codec not in ("latin1", "latin-1", b"latin1"):
            raise pickle.UnpicklingError(f"it asks for the codec {codec!r}")
        return text.encode("latin1")


class Bytearray:
    """In place of bytearray, which would allocate any size that it is given as a number."""

    def __call__(self, raw=b"", codec="latin1"):
        if isinstance(raw, int):
            raise pickle.UnpicklingError("it asks for an empty bytearray of a given size")
        return bytearray(raw, codec) if isinstance(raw, str) else bytearray(raw)


def names() -> dict:
    """What a pickle may name, as (module, name); new for every file, so that none changes another's."""
    containers = {"list": list, "tuple": tuple, "dict": dict, "set": set, "frozenset": frozenset}
    containers["bytearray"] = Bytearray()
    calls = (("multiarray", "_reconstruct", Reconstruct()), ("multiarray", "scalar", Scalar()),
             ("numeric", "_frombuffer", FromBuffer()))
    known = {("_codecs", "encode"): Latin1(), ("numpy", "ndarray"): Array, ("numpy", "dtype"): Dtype}
    for builtins in ("builtins", "__builtin__"):    # the latter in Python 2 and up to protocol 2
        known |= {(builtins, name): kind for name, kind in containers.items()}
    for core in ("core", "_core"):
        known |= {(f"numpy.{core}.{module}", name): call for module, name, call in calls}
    return known


def _stranger(name: str):
    raise pickle.UnpicklingError(f"it asks for {name}")


def read_pickle(path: Path):
    """What the pickle in `path` holds: containers, numbers, bytes, `Array` for numpy's arrays and scalars.

    Text that Python 2 wrote comes back as bytes. Raises FiqaError, with nothing called, for a file that is
    no complete pickle or names anything that a verification set has no use for.
    """
    data = path.read_bytes()
    try:
        _check_memo(data)
        # "bytes" reads what Python 3 wrote as well: only Python 2's own strings, here images, depend on it
        return Restricted(io.BytesIO(data), names(), _stranger, encoding="bytes").load()
    except pickle.UnpicklingError as error:
        raise FiqaError(f"{path} is not a plain verification set: {error}; nothing was run", SOURCE) from None
    except Exception as error:  # the pickle of a stranger: anything can happen here
        reason = str(error).split("\n")[0][:100] or type(error).__name__
        raise FiqaError(f"{path} is not a complete pickle ({len(data):,} bytes): {reason}", SOURCE) from None


def _check_memo(data: bytes) -> None:
    """Refuse a memo index beyond the pickle's length: the unpickler would reserve memory for all below it."""
    for operation, argument, _ in pickletools.genops(data):
        if operation.name in ("LONG_BINPUT", "PUT") and int(argument) > len(data):
            raise pickle.UnpicklingError("it asks for more memory than its size explains")


def to_array(value: Array) -> np.ndarray:
    """The numpy array that `value` describes, (N,) or () of a plain type; ValueError if it is not sound."""
    code = value.dtype.code.lstrip("<|=") if isinstance(value.dtype, Dtype) else None
    if code not in PLAIN_TYPES or not isinstance(value.raw, bytes | bytearray):
        raise ValueError(f"an array of type {code}")
    if len(value.raw) % np.dtype(code).itemsize:
        raise ValueError(f"an array of type {code} in {len(value.raw)} bytes")
    flat = np.frombuffer(bytes(value.raw), code)
    if value.shape not in ((), (len(flat),)) or (value.shape == () and len(flat) != 1):
        raise ValueError(f"an array of shape {value.shape} with {len(flat)} values")
    return flat.reshape(value.shape)


LAYOUT = "a .bin holds two things: a list of 2 N encoded images and a list of N labels, True for one person"


@dataclass(frozen=True)
class EncodedPictures:
    """Row -> picture of the bytes `encoded[row]`, uint8 (H, W, 3); FiqaError naming `names[row]`."""

    encoded: tuple[bytes, ...]
    names: tuple[str, ...]

    def __call__(self, row: int) -> np.ndarray:
        return decode_image(self.encoded[row], self.names[row])


def insightface_bin(name: str, file: str | Path) -> Listing:
    """The images of a .bin, image_id = cfp_fp/000017_1: the file's stem, the pair from 0, the side 0 or 1.

    Folds are ten equal blocks if each is half genuine, else unknown (-1). identity is the id of the first
    image that genuine pairs connect an image with; who occurs in no genuine pair is a person of their own.
    Raises FiqaError for a pickle that asks for anything else, parts that do not fit, wrong labels.
    """
    path = require(file, "verification set")
    encoded, genuine = read_bin(path)
    contents, first = unique_contents(encoded)
    sides = contents.reshape(-1, 2)
    images = people(path.stem, first, sides[genuine == 1])
    ids, identities = images["image_id"].to_numpy(), images["identity"].to_numpy()
    fold, unknown = folds_by_position(genuine, path)
    pairs = pd.DataFrame({"genuine": genuine, "fold": fold, "line": np.arange(len(sides))})
    for side, rows in zip("ab", sides.T):
        pairs = pairs.assign(**{f"path_{side}": ids[rows], f"identity_{side}": identities[rows]})
    read = EncodedPictures(tuple(encoded[row] for row in first), tuple(ids))
    table = pairs.rename(columns={"path_a": "a", "path_b": "b"})[["a", "b", "genuine", "fold"]]
    notes = [*label_notes(pairs, path, PUBLISHED_MISTAKES, unit="pair"), *fold_notes(pairs, path), *unknown,
             *count_notes(PUBLISHED.get(path.stem.lower(), {}), pair_counts(pairs, images))]
    if len(encoded) > len(images):
        notes.append(f"{path}: {len(encoded) - len(images):,} of {len(encoded):,} images repeat another; "
                     "each is kept once")
    return Listing(name, images, table, read, look_aligned(read, len(images), path), notes=tuple(notes))


def read_bin(path: Path) -> tuple[list[bytes], np.ndarray]:
    """The 2 N encoded images and N labels (int64, 1 genuine) of a .bin, else FiqaError."""
    content = read_pickle(path)
    if not isinstance(content, list | tuple) or len(content) != 2:
        raise FiqaError(f"{path} holds no two lists but {type(content).__name__}", LAYOUT)
    images, labels = content
    if not isinstance(images, list | tuple):
        raise FiqaError(f"{path}: the images are no list but {type(images).__name__}", LAYOUT)
    genuine = _labels(labels, path)
    if len(images) != 2 * len(genuine):
        raise FiqaError(f"{path}: {len(images):,} images for {len(genuine):,} labels", LAYOUT)
    if len(np.unique(genuine)) < 2:
        raise FiqaError(f"{path}: all {len(genuine):,} labels are the same, or there are none", LAYOUT)
    return [_encoded(image, row, path) for row, image in enumerate(images)], genuine


def _labels(labels, path: Path) -> np.ndarray:
    try:
        values = to_array(labels).tolist() if isinstance(labels, Array) else labels
        values = [to_array(value).item() if isinstance(value, Array) else value for value in values]
    except (TypeError, ValueError) as error:
        raise FiqaError(f"{path}: the labels are no list of booleans: {error}", LAYOUT) from None
    wrong = [row for row, value in enumerate(values) if not isinstance(value, int) or value not in (0, 1)]
    if wrong:
        raise FiqaError(f"{path}: label {wrong[0]} is {str(values[wrong[0]])[:40]}, neither True nor False",
                        LAYOUT)
    return np.array(values, np.int64)


def _encoded(image, row: int, path: Path) -> bytes:
    """The bytes of image `row`, given as bytes or as a uint8 array of one dimension."""
    if isinstance(image, bytes | bytearray):
        return bytes(image)
    try:
        values = to_array(image) if isinstance(image, Array) else None
    except ValueError as error:
        raise FiqaError(f"{path}: image {row} is {error}", LAYOUT) from None
    if values is None or values.dtype != np.uint8 or values.ndim != 1:
        raise FiqaError(f"{path}: image {row} is no encoded image but {type(image).__name__}", LAYOUT)
    return values.tobytes()


def unique_contents(encoded: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Number of each image's content (N,), counted by first occurrence, and the row of each one's first."""
    contents, _ = pd.factorize(pd.Series([hashlib.sha256(data).digest() for data in encoded]))
    return contents, np.flatnonzero(~pd.Series(contents).duplicated())


def people(stem: str, first: np.ndarray, genuine: np.ndarray) -> pd.DataFrame:
    """Images table of the contents that first occur at rows `first`; `genuine` (M, 2) connects contents."""
    links = coo_array((np.ones(len(genuine)), (genuine[:, 0], genuine[:, 1])), shape=(len(first), len(first)))
    person = connected_components(links, directed=False)[1]
    _, leader = np.unique(person, return_index=True)
    ids = np.array([f"{stem}/{row // 2:06d}_{row % 2}" for row in first])
    images = pd.DataFrame({"image_id": ids, "identity": ids[leader[person]]})
    return images.assign(template_id=ids, media_id=ids)
