"""The few rendered faces that ship with the workbook, each with one cause of quality loss."""
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from fiqa_core.rendering.identity import sample_identities
from fiqa_core.rendering.nuisance import COLUMNS, neutral, severity
from fiqa_core.rendering.renderer import render_faces

SEED, PERSONS = 11, 4
CASES = (("frontal", {}), ("smile", {"smile": 0.9}), ("half_profile", {"yaw": 45}),
         ("dark_side", {"light_angle": 75}), ("blurred", {"defocus": 3.0}), ("masked", {"mask": 0.7}))


def write_samples(folder: Path, device="cpu") -> pd.DataFrame:
    """Render every case for every person into folder/NAME.png and describe them in folder/samples.csv.

    Returns the table: file, identity, case, then the true nuisance values, occlusion and severity.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table = neutral(PERSONS * len(CASES))
    who = np.repeat(np.arange(PERSONS), len(CASES))
    for row in range(len(table)):
        for cause, value in CASES[row % len(CASES)][1].items():
            table.loc[row, cause] = float(value)
    pixels, table["occlusion"] = render_faces(sample_identities(PERSONS, SEED), who, table, device)
    table["severity"] = severity(table)
    table["identity"] = [f"person_{p}" for p in who]
    table["case"] = [CASES[row % len(CASES)][0] for row in range(len(table))]
    table["file"] = table["identity"] + "_" + table["case"] + ".png"
    for name, picture in zip(table["file"], pixels):
        cv2.imwrite(str(folder / name), picture[..., ::-1], (cv2.IMWRITE_PNG_COMPRESSION, 9))
    table = table[["file", "identity", "case", *COLUMNS, "occlusion", "severity"]]
    table.to_csv(folder / "samples.csv", index=False, float_format="%.6g", lineterminator="\n")
    return table
