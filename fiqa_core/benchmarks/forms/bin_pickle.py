"""The pickle inside an InsightFace .bin, read without running what it asks for.

A pickle is a program that may call whatever it names. Here it can name Python's containers, the few
functions of numpy that restore an array, and `_codecs.encode`. For numpy's stand-ins answer that record what
the pickle says: no array is made until its type and size have been checked, because numpy trusts the state
it is given and a crafted dtype would make it follow wild pointers.
"""

import io
import pickle
import pickletools
from pathlib import Path
from typing import BinaryIO

import numpy as np

from fiqa_core.errors import FiqaError

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
    calls = (("multiarray", "_reconstruct", Reconstruct()), ("multiarray", "scalar", Scalar()))
    return {
        **{
            (builtins, name): kind
            for builtins in ("builtins", "__builtin__")  # the latter in Python 2 and up to protocol 2
            for name, kind in containers.items()
        },
        ("_codecs", "encode"): Latin1(),
        ("numpy", "ndarray"): Array,
        ("numpy", "dtype"): Dtype,
        **{
            (f"numpy.{core}.{module}", name): call
            for core in ("core", "_core")
            for module, name, call in (*calls, ("numeric", "_frombuffer", FromBuffer()))
        },
    }


class Unpickler(pickle.Unpickler):
    """Knows `names`; any other raises UnpicklingError, uncalled. Python 2's text comes back as bytes."""

    def __init__(self, file: BinaryIO):
        # "bytes" reads what Python 3 wrote as well: only Python 2's own strings, here images, depend on it
        super().__init__(file, encoding="bytes")
        self.names = names()

    def find_class(self, module, name):
        if (module, name) not in self.names:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return self.names[module, name]


def read_pickle(path: Path):
    """What the pickle in `path` holds: containers, numbers, bytes, `Array` for numpy's arrays and scalars.

    Text that Python 2 wrote comes back as bytes. Raises FiqaError, with nothing called, for a file that is
    no complete pickle or names anything that a verification set has no use for.
    """
    data = path.read_bytes()
    try:
        _check_memo(data)
        return Unpickler(io.BytesIO(data)).load()
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
