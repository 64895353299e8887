"""The tensors of any weights file; its format is recognised by its bytes, whatever the file is called."""
import zipfile
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from fiqa_core.base.errors import FiqaError
from fiqa_core.weights.formats.cursor import Damaged
from fiqa_core.weights.place import find

HEAD, TAIL = 512, 8                 # bytes at both ends that tell formats apart


@dataclass(frozen=True)
class Format:
    """A file format and which function of `formats` reads it."""

    name: str
    module: str
    function: str = "read"

    def read(self, path: Path) -> dict:
        """What the module's function returns."""
        return getattr(import_module(f"fiqa_core.weights.formats.{self.module}"), self.function)(path)


TORCH_ZIP, NPZ = Format("PyTorch", "pytorch", "read_zip"), Format("numpy archive", "arrays", "read_npz")
ONNX, KERAS = Format("ONNX", "onnx"), Format("Keras HDF5", "keras")
TORCH_MAGIC = bytes.fromhex("8a0a6cfc9c46f9206aa85019")         # first pickle of torch files before 1.6
DLIB_MAGIC = b"\x01\x01\x01\x0dloss_metric_"                    # version and name of its last layer
TABLE_MAGIC = bytes.fromhex("57fb808b247547db")                 # last bytes of a checkpoint's index
AFTER_ONNX_VERSION = b"\x12\x1a\x22\x28\x32\x3a\x42"            # the field that follows the first
# how a file's head and tail look -> its format; zip archives are told apart by what is in them
SIGNATURES = (
    (lambda head, tail: TORCH_MAGIC in head[:32], Format("PyTorch before 1.6", "pytorch")),
    (lambda head, tail: head[8:9] == b"{" and not any(head[5:8]),
     Format("safetensors", "arrays", "read_safetensors")),
    (lambda head, tail: head.startswith(b"\x89HDF\r\n\x1a\n"), KERAS),
    (lambda head, tail: head.startswith(b"\x12\x01" + bytes(6)), Format("MXNet parameters", "mxnet")),
    (lambda head, tail: head.startswith(DLIB_MAGIC), Format("dlib network", "dlib")),
    (lambda head, tail: tail == TABLE_MAGIC,
     Format("TensorFlow checkpoint", "tensorflow", "read_checkpoint")),
    (lambda head, tail: head[:1] == b"\n" and b"\n" in head[2:5],
     Format("TensorFlow graph", "tensorflow", "read_graph")),
    (lambda head, tail: head[:1] == b"\x08" and 0 < head[1] < 32 and head[2] in AFTER_ONNX_VERSION, ONNX),
)
WHENCE = "give the path of a file; `python -m fiqa_core weights list` tells where each comes from"
KNOWN = ", ".join(kind.name for kind in (TORCH_ZIP, NPZ, *(kind for _, kind in SIGNATURES)))
UNPACK = "unpack it and name the checkpoint inside"
# what arrives instead of weights: place of its first bytes, those bytes, what it is, what to do
IMPOSTORS = (
    (0, b"<", "a web page",
     "download the file itself; Google Drive first wants its warning about size confirmed"),
    (0, b"version https://git-lfs", "a Git LFS pointer", "fetch the file that it stands for: git lfs pull"),
    (257, b"ustar", "a tar archive", UNPACK),
    (0, b"\x1f\x8b", "a gzip archive", UNPACK),
    (0, b"Rar!", "a RAR archive", UNPACK),
    (0, b"7z\xbc\xaf", "a 7-Zip archive", UNPACK),
    (0, b"\x80", "a Python pickle that PyTorch did not write, and loading it could run code",
     "ask its author for the state dict as safetensors"),
)


def read_tensors(path: str | Path) -> dict:
    """What a weights file holds: nested dicts of CPU tensors (and, from PyTorch, plain values beside them).

    path   as given from the current folder, else below the weights folder; of a TensorFlow checkpoint the
           index, a data file or their common beginning
    Names, shapes and order of axes are the file's own. No code from the file runs. Raises FiqaError for a
    file that is missing, damaged, unsafe or of an unknown format, and for ONNX, which is no bag of tensors.
    """
    path = locate(path)
    kind = recognise(path)
    if kind is ONNX:
        raise FiqaError(f"{path} is an ONNX model: it runs as it is and fills no network of ours",
                        "give it to load_recogniser or load_quality, or take the authors' PyTorch checkpoint")
    try:
        return kind.read(path)
    except Damaged as error:
        raise damaged(path, kind.name, error) from None


def locate(path: str | Path, remedy: str = WHENCE) -> Path:
    """The file to read, here or in the weights folder; of a TensorFlow checkpoint its index.

    Raises FiqaError with `remedy` where there is none.
    """
    for candidate in (find(path), find(f"{path}.index")):
        index = candidate.with_name(candidate.name.partition(".data-")[0] + ".index")
        if ".data-" in candidate.name and index.is_file():
            return index
        if candidate.is_file():
            return candidate
    if find(path).is_dir():
        raise FiqaError(f"{find(path)} is a folder", "name the file in it")
    raise FiqaError(f"{path} is not there", remedy)


def recognise(path: Path) -> Format:
    """The format of a file. Raises FiqaError where it is none that is known, and says what it looks like."""
    with open(path, "rb") as file:
        head = file.read(HEAD)
        file.seek(max(path.stat().st_size - TAIL, 0))
        tail = file.read(TAIL)
    if head.startswith(b"PK"):
        return _zipped(path)
    if len(head) > TAIL:
        for fits, kind in SIGNATURES:
            if fits(head, tail):
                return kind
    for place, start, name, remedy in IMPOSTORS:
        if head[place:].startswith(start):
            raise FiqaError(f"{path} is {name}, no weights", remedy)
    raise FiqaError(f"{path} is {'no weights file of a known format' if head else 'empty'}",
                    f"fetch the file again; known formats: {KNOWN}")


def damaged(path: Path, kind: str, error: Exception) -> FiqaError:
    """The error for a file that breaks the rules of its format `kind`."""
    return FiqaError(f"{path} is damaged or cut short ({kind}): {error}",
                     "fetch the file again and compare its size")


def _zipped(path: Path) -> Format:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise damaged(path, "zip archive", error) from None
    if any(name.endswith("/constants.pkl") for name in names):
        raise FiqaError(f"{path} is a TorchScript program, and loading it could run code",
                        "ask its author for the state dict")
    if any(name.endswith("/data.pkl") for name in names):
        return TORCH_ZIP
    if names and all(name.endswith(".npy") for name in names):
        return NPZ
    raise FiqaError(f"{path} is an archive of {len(names)} files: {', '.join(names[:3])}", UNPACK)
