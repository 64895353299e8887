"""Pictures: the one decoder, the one encoder, and the step between uint8 pixels and float batches.

Every picture is decoded by OpenCV alone. Two JPEG decoders differ by a grey level here and there, and
FaceQAN's epsilon is a quarter of a grey level: with one decoder the same file always gives the same score.
"""
from pathlib import Path

import cv2
import numpy as np
import torch

from fiqa_core.base.errors import FiqaError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".jp2")


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
        raise FiqaError(f"{path} cannot be read: {error.strerror}",
                        "check the path and its permissions") from None
    return decode_image(data, str(path))


def decode_image(data: bytes | np.ndarray, name: str) -> np.ndarray:
    """Decode an image file's bytes, or uint8 (N,) array of them, as `read_image` does.

    Raises FiqaError that names `name` if they are not a complete image.
    """
    data = np.frombuffer(data, np.uint8)
    pixels = _decode(data)
    if pixels is None:
        raise FiqaError(f"{name} is not a complete image ({data.size} bytes)",
                        "replace the file by an intact copy; JPEG, PNG, BMP, WebP, TIFF and PNM are read")
    return pixels


def _decode(data: np.ndarray) -> np.ndarray | None:
    """The RGB picture in an encoded byte array, None where the decoder gives up."""
    try:
        pixels = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
        stored = (
            cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
            if pixels is not None and _may_be_transparent(data)
            else None
        )
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
        _, data = cv2.imencode(path.suffix, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)
    except cv2.error:
        raise FiqaError(f"{path}: OpenCV writes no {path.suffix or 'files without a suffix'}",
                        "use .png or .jpg") from None
    path.parent.mkdir(parents=True, exist_ok=True)
    data.tofile(path)


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
    """All image files below `folder`, by suffix, sorted. Raises FiqaError if there are none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise FiqaError(f"{folder} is not a folder", "name the folder that holds the images")
    found = sorted(path for path in folder.rglob("*")
                   if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    if not found:
        raise FiqaError(f"{folder} holds no image", f"images are files ending in {', '.join(IMAGE_SUFFIXES)}")
    return found
