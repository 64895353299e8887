"""Contact sheets: many faces on one picture, for notebooks and for looking at one's own changes."""
from pathlib import Path

import cv2
import numpy as np

from fiqa_core.errors import FiqaError


def contact_sheet(pixels: np.ndarray, columns: int = 8, path: Path | None = None,
                  scale: int = 1) -> np.ndarray:
    """Arrange pixels (N, H, W, 3) uint8 RGB row by row: one picture (rows*H, columns*W, 3) uint8 RGB.

    Empty places are white. scale enlarges each face. path: also write it there (PNG). Raises FiqaError
    for no faces or a wrong shape.
    """
    pixels = np.asarray(pixels)
    if pixels.ndim != 4 or pixels.shape[-1] != 3 or len(pixels) == 0 or columns < 1:
        raise FiqaError(f"contact_sheet: pixels have shape {pixels.shape}, {columns} columns",
                        "give at least one face as uint8 (N, H, W, 3), and one column or more")
    count, height, width = pixels.shape[:3]
    rows = -(-count // columns)
    sheet = np.full((rows * columns, height, width, 3), 255, np.uint8)
    sheet[:count] = pixels
    sheet = sheet.reshape(rows, columns, height, width, 3).transpose(0, 2, 1, 3, 4)
    sheet = sheet.reshape(rows * height, columns * width, 3)
    if scale > 1:
        sheet = cv2.resize(sheet, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    if path is not None:
        cv2.imwrite(str(path), sheet[..., ::-1])
    return sheet
