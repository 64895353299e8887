"""Five-point alignment to the ArcFace template, and the faces of a photograph as aligned crops.

A recogniser sees faces as it saw them in training: rotated, scaled and shifted so that eyes, nose and
mouth corners lie where the template has them (Deng et al., ArcFace, CVPR 2019). Misaligned faces look
like poor recognisers, so everything here either aligns exactly or says why it could not.
"""
import cv2
import numpy as np

from fiqa_core.base.errors import FiqaError

# (x, y) in a 112 x 112 crop: left eye, right eye, nose, left and right mouth corner, as seen in the image
ARCFACE_TEMPLATE = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)
MISFIT = 16.0  # pixels of the crop; further from the template is no face


def template(size: int = 112) -> np.ndarray:
    """The (5, 2) ArcFace landmarks for crops of `size` pixels, a multiple of 112 or of 128.

    The 128 family keeps the 112 template's scale and widens the crop by 8 pixels at each side.
    Raises FiqaError for other sizes.
    """
    if size > 0 and size % 112 == 0:
        return ARCFACE_TEMPLATE * (size / 112)
    if size > 0 and size % 128 == 0:
        return (ARCFACE_TEMPLATE + (8, 0)) * (size / 128)
    raise FiqaError(f"size = {size}: the ArcFace template is defined for multiples of 112 or 128",
                    "use size=112")


def similarity_transform(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The (2, 3) float64 matrix of rotation, scale and shift that takes `source` (N, 2) closest to `target`.

    Least squares over proper similarities (Umeyama, TPAMI 13(4), 1991, eqs. 40-42): a mirrored set is
    matched as well as a rotation can, never by a reflection. Raises FiqaError where no such transform is
    determined: not two sets of N >= 2 finite points, all points in one place, or nothing in common.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 2 or len(source) < 2:
        raise FiqaError(f"landmarks of shapes {source.shape} and {target.shape}",
                        "give two (N, 2) arrays, N >= 2")
    if not (np.isfinite(source).all() and np.isfinite(target).all()):
        raise FiqaError("landmarks hold values that are not finite", "correct the landmark file")
    centre, goal = source.mean(axis=0), target.mean(axis=0)
    spread = ((source - centre) ** 2).sum(axis=1).mean()
    u, sigma, vt = np.linalg.svd((target - goal).T @ (source - centre) / len(source))
    sign = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    strength = (sigma * sign).sum()
    extent = np.abs(source).max() ** 2 + 1e-12
    if spread < 1e-10 * extent or strength < 1e-10 * np.sqrt(extent * (np.abs(target).max() ** 2 + 1e-12)):
        raise FiqaError("landmarks lie all in one place, or do not resemble the target at all",
                        "correct the landmark file")
    matrix = strength / spread * (u * sign) @ vt
    return np.column_stack([matrix, goal - matrix @ centre])


def align(image: np.ndarray, landmarks: np.ndarray, size: int = 112) -> np.ndarray:
    """Crop of `size` pixels in which the five `landmarks` lie closest to the ArcFace template.

    image (H, W, 3) uint8; landmarks (5, 2) in its pixels, order as in ARCFACE_TEMPLATE. Bilinear
    sampling; what lies outside the image is black. Raises FiqaError for degenerate landmarks.
    """
    if np.shape(landmarks) != (5, 2):
        raise FiqaError(f"landmarks of shape {np.shape(landmarks)}", "alignment takes five points, (5, 2)")
    matrix = similarity_transform(landmarks, template(size))
    return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT,
                          borderValue=0)


def misshape(points: np.ndarray, shape: tuple) -> str:
    """Why landmarks (5, 2) cannot be those of a face in a picture of `shape` (H, W, ...); "" if they can.

    They must span some pixels in both directions, lie in the picture for the most part, and resemble the
    template. Of 8,961 faces of LFW and others none was further from it than 13.3 pixels, root mean square in
    the 112 crop; with left and right exchanged none is nearer than 19.
    """
    if np.ptp(points, axis=0).max() < 2:
        return "landmarks lie all in one place (or are fractions, not pixels)"
    longer, shorter = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    if shorter < 0.05 * longer:
        return "landmarks lie on one line"
    size = np.array(shape[1::-1])
    outside = np.maximum(-points, points - size).max(axis=1)
    if (outside > 0).sum() > 2 or outside.max() > longer:
        return "landmarks lie outside the picture"
    if misfit(in_crop(points)) > MISFIT:
        exchanged = misfit(in_crop(points[[1, 0, 2, 4, 3]])) < MISFIT
        return "landmarks have left and right exchanged" if exchanged else "landmarks do not resemble a face"
    return ""


def in_crop(points: np.ndarray) -> np.ndarray:
    """Landmarks (..., 5, 2) of photographs as they lie in the aligned 112 x 112 crops; NaN stays.

    The least-squares similarity of `similarity_transform` for all faces at once: with points as complex
    numbers about their means, rotation and scale are the one factor sum(conj(z) w) / sum(|z|^2).
    """
    points = np.asarray(points, float)
    z, w = points[..., 0] + 1j * points[..., 1], template() @ (1, 1j)
    centred = z - z.mean(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        factor = (centred.conj() @ (w - w.mean())) / (np.abs(centred) ** 2).sum(axis=-1)
        placed = factor[..., None] * centred + w.mean()
    return np.stack([placed.real, placed.imag], axis=-1)


def misfit(points: np.ndarray) -> np.ndarray:
    """Root mean square distance of landmarks in crops (..., 5, 2) from the template, in pixels."""
    return np.sqrt(((points - template()) ** 2).sum(axis=-1).mean(axis=-1))


def five_points(landmarks: np.ndarray) -> np.ndarray:
    """(5, 2) from the (68, 2) landmarks of the iBUG 300-W scheme: eyes as means of their six points."""
    landmarks = np.asarray(landmarks, np.float64)
    if landmarks.shape != (68, 2):
        raise FiqaError(f"landmarks of shape {landmarks.shape}", "the 300-W scheme has 68 points, (68, 2)")
    return np.stack([landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0), *landmarks[[30, 48, 54]]])


def centre_crop(image: np.ndarray, size: int = 112) -> np.ndarray:
    """The central square of `image` at `size` pixels: what stands in for a face that was not found."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return cv2.resize(image[top : top + side, left : left + side], (size, size), interpolation=cv2.INTER_AREA)


def choose_face(boxes: np.ndarray, shape: tuple, policy: str = "largest") -> int:
    """Index of the face meant by a photograph of `shape` (H, W, ...), from `boxes` (N, 4) as x1, y1, x2, y2.

    "largest": by box area. "central": by area minus twice the squared distance of the box's centre from
    the image's, the rule insightface packs its benchmarks by; right where the subject was put in the
    middle, as in LFW. Raises FiqaError for another policy.
    """
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    if policy == "largest":
        return int(area.argmax())
    if policy != "central":
        raise FiqaError(f"face policy {policy!r}", 'use "largest" or "central"')
    offset = (boxes[:, :2] + boxes[:, 2:]) / 2 - np.array([shape[1], shape[0]]) / 2
    return int((area - 2 * (offset**2).sum(axis=1)).argmax())
