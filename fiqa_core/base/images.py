"""Pictures: the one decoder, the one encoder, and the step between uint8 pixels and float batches.

Every picture is decoded by OpenCV alone. Two JPEG decoders differ by a grey level here and there, and
FaceQAN's epsilon is a quarter of a grey level: with one decoder the same file always gives the same score.
"""
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import replacing

# Formats that are read: those of every build of OpenCV, and those that this build has.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".jp2", ".jpe",
                  ".jfif",
                  ".dib", ".pbm", ".pnm", ".ras", ".sr",
                  *(suffix for suffix in (".gif", ".avif", ".hdr") if cv2.haveImageWriter(f"x{suffix}")))
# Pictures too, but not for this decoder: they are counted, not passed over in silence.
UNREAD_SUFFIXES = frozenset((".heic", ".heif", ".hif", ".jxl", ".raw", ".dng", ".cr2", ".cr3", ".crw", ".nef",
                             ".nrw",
                             ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw", ".psd", ".xcf", ".svg", ".ico",
                             ".tga",
                             ".pcx", ".exr", ".pam", ".pfm", ".gif", ".avif", ".hdr")) - {*IMAGE_SUFFIXES}


def read_image(path: Path) -> np.ndarray:
    """Decode an image file to uint8 (H, W, 3) RGB.

    Grey becomes three equal channels, 16 bits per channel become 8, transparency is composited over
    black. The EXIF orientation is applied, so that a phone's portrait stands upright; only images with
    transparency, which no camera writes, are taken as stored. Raises FiqaError naming the file if it is
    missing or cannot be decoded completely.
    """
    path = Path(path)
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise FiqaError(f"{shown(path)} cannot be read: {error.strerror}",
                        "check the path and its permissions") from None
    return decode_image(data, shown(path))


def decode_image(data: bytes | np.ndarray, name: str) -> np.ndarray:
    """Decode an image file's bytes, or uint8 (N,) array of them, as `read_image` does.

    Raises FiqaError that names `name` if they are not a complete image.
    """
    data = np.frombuffer(data, np.uint8)
    pixels = _decode(data)
    if pixels is None:
        raise FiqaError(f"{name} is not a complete image ({data.size} bytes)",
                        "replace the file by an intact copy, or convert it to JPEG or PNG")
    return pixels


def _decode(data: np.ndarray) -> np.ndarray | None:
    """The RGB picture in an encoded byte array, None where the decoder gives up."""
    try:
        pixels = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
        unsure = pixels is not None and _may_be_transparent(data)
        stored = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if unsure else None
    except cv2.error:
        return None
    if stored is not None and stored.ndim == 3 and stored.shape[2] == 4:
        full = np.iinfo(stored.dtype).max
        colour = stored[..., 2::-1].astype(np.float32) * stored[..., 3:].astype(np.float32) / full
        return np.round(colour * (255 / full)).astype(np.uint8)
    return pixels


def _may_be_transparent(data: np.ndarray) -> bool:
    """True unless the file is a JPEG, whose pixels never carry transparency."""
    return bytes(data[:2]) != b"\xff\xd8"


def write_image(path: Path, pixels: np.ndarray, quality: int = 95) -> None:
    """Encode uint8 (H, W, 3) RGB to `path`; the suffix names the format, `quality` (0 to 100) is JPEG's.

    Raises FiqaError if the format is unknown or the file cannot be written.
    """
    path = Path(path)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if path.suffix.lower() in (".jpg", ".jpeg") else []
    try:
        done, data = cv2.imencode(path.suffix, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)
    except cv2.error:
        done = False
    if not done:
        raise FiqaError(f"{path}: OpenCV writes no {path.suffix or 'files without a suffix'}", "use .png or "
                                                                                               ".jpg")
    with replacing(path) as part:
        data.tofile(part)


def jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    """What JPEG of `quality` (1 to 100) leaves of uint8 (H, W, 3) RGB pixels; same shape and type."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR),
                           [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)


def to_batch(pixels: np.ndarray, device: torch.device | str | None = None) -> torch.Tensor:
    """uint8 (N, H, W, 3) pixels, copied, as float32 (N, 3, H, W) in [0, 1] on `device`."""
    batch = torch.from_numpy(np.array(pixels)).to(device)
    return batch.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format) / 255


def to_pixels(batch: torch.Tensor) -> np.ndarray:
    """float (N, 3, H, W) in [0, 1], clipped and rounded to uint8 (N, H, W, 3): the inverse of `to_batch`."""
    pixels = (batch.detach().clamp(0, 1) * 255).round().to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def find_images(folder: Path) -> list[Path]:
    """All pictures below `folder`, sorted; those in formats that are not read are counted on standard error.

    A picture is a file with one of IMAGE_SUFFIXES, or one without suffix whose first bytes the decoder knows.
    Hidden files and folders are none (.ipynb_checkpoints, macOS' ._NAME). Linked folders are searched, unless
    they lead back to where they are. Raises FiqaError if there are no pictures, or a folder cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FiqaError(f"{folder} is not a folder", "name the folder that holds the images")
    files = list(files_below(folder))
    found = sorted(path for path in files if is_picture(path))
    left = Counter(path.suffix.lower() for path in files if path.suffix.lower() in UNREAD_SUFFIXES)
    counts = ", ".join(f"{count} {suffix}" for suffix, count in sorted(left.items()))
    if not found:
        raise FiqaError(f"{folder} holds no image" + (f" that can be read, but {counts}" if left else ""),
                        f"images are files ending in {', '.join(IMAGE_SUFFIXES)}")
    if left:
        print(f"{shown(folder)}: {left.total()} pictures are left out, in formats that OpenCV does not read "
              f"({counts}); convert them to JPEG or PNG", file=sys.stderr)
    return found


def is_picture(path: Path) -> bool:
    """Whether a file is a picture that can be read, by its suffix or, where it has none, its first bytes."""
    if path.suffix:
        return path.suffix.lower() in IMAGE_SUFFIXES
    try:
        return cv2.haveImageReader(str(path))
    except (cv2.error, UnicodeEncodeError):
        return False


def files_below(place: str | Path, above: frozenset = frozenset()) -> Iterator[Path]:
    """Files below a folder, hidden ones and loops apart; `above` are the folders (device, inode) above it."""
    try:
        facts = os.stat(place)
        above |= {(facts.st_dev, facts.st_ino)}
        entries = list(os.scandir(place))
    except OSError as error:
        raise FiqaError(f"folder {shown(place)} cannot be read: {error.strerror}",
                        "permit it, or move it elsewhere") from None
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if not entry.is_dir():
            yield Path(entry.path)
        elif ((facts := entry.stat()).st_dev, facts.st_ino) not in above:
            yield from files_below(entry.path, above)


def shown(path: str | Path) -> str:
    """A path as text that can be written anywhere: bytes of its name that are no UTF-8 stand as \\xe9."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def name_of(path: Path, folder: Path) -> str:
    """How tables call the picture `path` of `folder`: its place below it, with "/" and as `shown`."""
    return shown(path.relative_to(folder).as_posix())


def path_of(folder: Path, name: str) -> Path:
    """The file that `name_of` calls so."""
    path = folder / name
    if "\\x" in name and not path.exists():
        escape = re.compile(rb"\\x([0-9a-f]{2})")
        path = folder / os.fsdecode(escape.sub(lambda code: bytes([int(code[1], 16)]), name.encode()))
    return path
