"""What only a whole picture tells: measures of five landmarks, and of what is behind the head.

An aligned crop has lost roll, size and background; these look at the photograph that it was cut from. Names
are those of ISO/IEC 29794-5 and OFIQ (face alignment apart, which they have not), the measures are not
conformant to them: five landmarks instead of 98, no face parsing, no mapping to 0..100. Landmarks are (N, 5,
2) x, y in pixels of the picture in the order of the ArcFace template; a face's value does not depend on the
others; higher is better.
"""
import cv2
import numpy as np

from fiqa_core.benchmarks.alignment import in_crop, misfit

# The five landmarks of an average adult head, cm: x to the right of the picture, y down, z to the camera.
HEAD = np.array([(-3.2, 0.0, 0.0), (3.2, 0.0, 0.0), (0.0, 3.73, 3.35), (-2.7, 7.29, 0.4), (2.7, 7.29, 0.4)])
ALIGNMENT, YAW, PITCH, ROLL = "face alignment", "head pose yaw", "head pose pitch", "head pose roll"
EYES, BACKGROUND = "inter-eye distance", "background uniformity"
POSE = (YAW, PITCH, ROLL)
UNIT = 20                       # pixels between the eyes at which a background is looked at
LEAST = UNIT * UNIT             # pixels of background that tell something
# The head with its hair, in eye distances from the middle of the eyes; CHIN: where shoulders may begin.
HALF_WIDTH, CENTRE, HALF_HEIGHT, CHIN = 1.75, -0.15, 2.35, 1.4


def head_pose(points: np.ndarray) -> np.ndarray:
    """Yaw, pitch and roll (N, 3) in degrees of landmarks (N, 5, 2); NaN where a landmark is unknown.

    Yaw > 0 turns the nose to the right of the picture, pitch > 0 raises it, roll > 0 turns the head
    clockwise; roll is applied last. The rotation under which the average head, seen from afar, comes closest
    to the points: least squares for two rows of it and their length, then the nearest orthogonal ones
    (DeMenthon & Davis, IJCV 15, 1995, without their iteration). A person whose nose or mouth is not where the
    average head has it is taken to nod.
    """
    points = np.asarray(points, float)
    known = np.isfinite(points).all(axis=(1, 2))
    angles = np.full((len(points), 3), np.nan)
    centred = points[known] - points[known].mean(axis=1, keepdims=True)
    model = np.linalg.pinv(HEAD - HEAD.mean(axis=0))                            # (3, 5)
    u, _, vt = np.linalg.svd(np.swapaxes(model @ centred, 1, 2), full_matrices=False)
    rows = u @ vt                                                               # (n, 2, 3), orthonormal
    depth = np.cross(rows[:, 0], rows[:, 1])
    angles[known] = np.degrees(np.stack([np.arctan2(-depth[:, 0], depth[:, 2]),
                                         np.arcsin(depth[:, 1].clip(-1, 1)),
                                         np.arctan2(-rows[:, 0, 1], rows[:, 1, 1])], axis=1))
    return angles


def eye_distance(points: np.ndarray) -> np.ndarray:
    """Pixels (N,) between the eyes of landmarks (N, 5, 2), as they would be if the face looked into the
    camera."""
    points = np.asarray(points, float)
    seen = np.linalg.norm(points[:, 1] - points[:, 0], axis=-1)
    return seen / np.cos(np.radians(head_pose(points)[:, 0])).clip(0.2)


def landmark_measures(points: np.ndarray) -> dict[str, np.ndarray]:
    """Name -> (N,) measures of landmarks (N, 5, 2), NaN where they are unknown.

    Face alignment is minus the root mean square distance from the ArcFace template after the best similarity,
    in pixels of the 112 crop: landmarks that err and strong poses both raise it. Poses are minus degrees from
    frontal.
    """
    points = np.asarray(points, float)
    angles = -np.abs(head_pose(points))
    return {ALIGNMENT: -misfit(in_crop(points)), **dict(zip(POSE, angles.T)), EYES: eye_distance(points)}


def background_uniformity(picture: np.ndarray, points: np.ndarray) -> float:
    """Minus the mean change of luminance per pixel behind the head, <= 0; NaN where there is no background to
    see.

    picture (H, W, 3) uint8 RGB, points (5, 2). Looked at with UNIT pixels between the eyes and the head
    upright, so that neither the size of the picture nor the camera's roll counts. Background is what lies
    outside an ellipse about the head and above the chin; shoulders, and a head that fills the picture, leave
    none.
    """
    if not np.isfinite(points).all():
        return np.nan
    d, roll = float(eye_distance(points[None])[0]), np.radians(head_pose(points[None])[0, 2])
    shrunk = min(UNIT / d, 1.0)
    grey = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    if shrunk < 1:                                              # averaged first: warping alone would alias
        grey = cv2.resize(grey, None, fx=shrunk, fy=shrunk, interpolation=cv2.INTER_AREA)
    eyes = (points[:2].mean(axis=0) + 0.5) * shrunk - 0.5
    width, height = 8 * UNIT, 5 * UNIT
    middle = np.array([width / 2, 3.5 * UNIT])                  # where the eyes come to lie
    turn = UNIT / (d * shrunk) * np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    matrix = np.column_stack([turn, middle - turn @ eyes])
    view = cv2.warpAffine(grey, matrix, (width, height), flags=cv2.INTER_LINEAR)
    inside = cv2.warpAffine(np.ones_like(grey), matrix, (width, height), flags=cv2.INTER_LINEAR) > 0.999
    behind = (inside & outside_head(width, height, middle)).astype(np.uint8)
    behind = cv2.erode(behind, np.ones((3, 3), np.uint8)) > 0
    if behind.sum() < LEAST:
        return np.nan
    slope = np.hypot(cv2.Sobel(view, cv2.CV_32F, 1, 0), cv2.Sobel(view, cv2.CV_32F, 0, 1)) / 8
    return -float(slope[behind].mean())


def outside_head(width: int, height: int, middle: np.ndarray) -> np.ndarray:
    """(height, width) bool: what is beside or above a head whose eyes have their middle at `middle`."""
    y, x = np.mgrid[:height, :width]
    x, y = (x - middle[0]) / UNIT, (y - middle[1]) / UNIT
    return ((x / HALF_WIDTH) ** 2 + ((y - CENTRE) / HALF_HEIGHT) ** 2 > 1) & (y < CHIN)
