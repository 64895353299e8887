"""Checkpoints that hold more than tensors, rewritten once as plain ones without running what is in them."""
import json
import math
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.weights.formats.cursor import Cursor, Damaged, tensor
from fiqa_core.weights.formats.pytorch import write_atomically
from fiqa_core.weights.tensors import TORCH_ZIP, locate, read_tensors, recognise

PACKAGE = Path(__file__).resolve().parents[2]           # the folder that holds fiqa_core
MOST_SECONDS = 600
STORAGES = {"FloatStorage": torch.float32, "DoubleStorage": torch.float64, "HalfStorage": torch.float16,
            "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
            "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8,
            "BoolStorage": torch.bool}


def convert(source: str | Path, target: str | Path) -> list[str]:
    """Write the tensors of `source` to `target` as a PyTorch file that loads with weights_only=True.

    The pickle of a PyTorch file is read by `salvage`, in a process of its own that knows tensors and plain
    containers only and runs nothing else; other formats are safe to read as they are. Dicts around the
    tensors stay, so that `target` loads like `source`; lists, objects and code do not.
    Returns the names of classes and functions that the file asked for and did not get, sorted.
    Raises FiqaError for a file that is missing or unknown, or does not survive without its code.
    """
    source, target = locate(source).resolve(), Path(target).expanduser().resolve()
    if source == target:
        raise FiqaError(f"{source} would overwrite itself", "give another name for the plain copy")
    kind = recognise(source)
    if kind.module != "pytorch":
        write_atomically(read_tensors(source), target)
        return []
    outline = _outline(source)
    try:
        content = rebuild(outline, _of_zip(source) if kind is TORCH_ZIP else _of_chain(source, outline))
    except (Damaged, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise _beyond_rescue(source, error) from None
    write_atomically(content, target)
    return outline["foreign"]


def rebuild(outline: dict, values: Callable[[str, torch.dtype, int], torch.Tensor]) -> dict:
    """The dicts and tensors of an outline that `salvage` printed.

    values   key, type and count of a storage -> its values
    Raises Damaged, KeyError, TypeError or ValueError where it describes what is not in the file.
    """
    dicts = [{} for _ in outline["dicts"]]

    def built(kind, *parts):
        if kind == "tensor":
            return _tensor(values, *parts)
        return dicts[parts[0]] if kind == "dict" else parts[0]

    for result, entries in zip(dicts, outline["dicts"]):
        result.update((key, built(*value)) for key, value in entries.items())
    kind, number = outline["root"] or ("nothing", 0)
    if kind != "dict":
        raise Damaged("it holds neither a dict nor a module")
    return dicts[number]


def _tensor(values: Callable, kind: str, key: str, count: int, offset: int, size: list, stride: list):
    """A tensor whose numbers all lie within its storage."""
    if not all(type(number) is int and number >= 0 for number in (count, offset, *size, *stride)):
        raise Damaged("a tensor with impossible sizes")
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if math.prod(size) > count or (math.prod(size) and last >= count):
        raise Damaged(f"a tensor of {size} in {count} values")
    flat = values(key, STORAGES[kind], count)
    return torch.as_strided(flat, size, stride, offset).clone(memory_format=torch.contiguous_format)


def _outline(source: Path) -> dict:
    command = [sys.executable, "-m", "fiqa_core.weights.salvage", str(source)]
    try:
        done = subprocess.run(command, cwd=PACKAGE, capture_output=True, text=True, check=False,
                              timeout=MOST_SECONDS)
    except subprocess.TimeoutExpired:
        raise _beyond_rescue(source, f"its pickle has not ended after {MOST_SECONDS} s") from None
    if done.returncode:
        raise _beyond_rescue(source, done.stderr.strip() or f"the process ended with {done.returncode}")
    return json.loads(done.stdout)


def _of_zip(source: Path) -> Callable:
    archive = zipfile.ZipFile(source)
    folder = next(name for name in archive.namelist() if name.endswith("/data.pkl")).removesuffix("data.pkl")

    def values(key, dtype, count):
        entry = archive.getinfo(f"{folder}data/{key}")
        if entry.compress_type != zipfile.ZIP_STORED:
            raise Damaged(f"{entry.filename} is compressed")
        return tensor(archive.read(entry), dtype, (count,))

    return values


def _of_chain(source: Path, outline: dict) -> Callable:
    """Values of a file before torch 1.6: for every storage in order its count and its values."""
    rest, found = Cursor(source.read_bytes(), outline["at"]), {}
    for key, kind in outline["order"]:
        count, = rest.numbers("q")
        found[key] = tensor(rest.take(count * STORAGES[kind].itemsize), STORAGES[kind], (count,))
    return lambda key, dtype, count: found[key]


def _beyond_rescue(source: Path, reason: object) -> FiqaError:
    return FiqaError(f"{source} cannot be taken apart without its code: {str(reason).splitlines()[-1]}",
                     "do not load it; ask its author for the state dict as safetensors")
