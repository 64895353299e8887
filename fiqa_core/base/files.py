"""Writing result tables so that equal numbers give equal files."""
from pathlib import Path

import pandas as pd


def write_csv(table: pd.DataFrame, path: Path, decimals: int = 6) -> None:
    """Write `table` in its row order with rounded floats, no index, "\\n" line ends, NaN as an empty cell.

    Creates the folder. A rounded -0 is written as 0, which a sum in another order could turn it into.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    rounded = table.copy()
    for column in rounded.select_dtypes("floating"):
        rounded[column] = rounded[column].astype("float64").round(decimals) + 0.0
    rounded.to_csv(path, index=False, float_format=f"%.{decimals}f", lineterminator="\n")
