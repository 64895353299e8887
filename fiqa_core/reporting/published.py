"""The numbers the papers print, as tables: what every notebook shows beside its own measurement.

One long-form CSV per paper artefact, the same columns in all of them. The quantity "pAUC" is the
papers' own: the mean of FNMR(u)/FNMR(0) on a 5 % grid of discard fractions u, at FMR 1e-3. Areas that follow
another rule have another name, so that nothing joins them by accident. Values that were read from somebody
else's copy of a paper stand apart, in the folder `second_hand`.
"""
import pandas as pd

from fiqa_core.base import project
from fiqa_core.base.errors import FiqaError
from fiqa_core.base.files import read_csv, read_table, refuse

REMEDY = "correct it, or fetch the inputs again: dvc repro data.dvc"
COLUMNS = ("source", "recogniser", "method", "benchmark", "setting", "quantity", "discard_limit", "value",
           "unit", "mark")
QUANTITIES = ("pAUC", "pAUC by another rule", "AUC by another rule", "raw area", "FNMR", "FNMR(0)",
              "FNMR(u)/FNMR(0)", "rank", "efficiency", "run time mean", "run time sd", "parameters",
              "quality score", "quality score mean", "quality score sd")
MARKS = {
    "": "",
    "star": "best of the authors' own five variants in its column",
    "dagger": "SER-FIQ took part in choosing XQLFW's images",
    "digitised": "read from the pixels of a figure, not printed",
    "second hand": "read from another's copy of the paper, not from the paper",
    "unassigned": "the value is printed, which of the named rows it belongs to is not known",
    "doubtful": "the printing is damaged, or another table contradicts it",
    "copied": "the row repeats SDD-FIQA's in every block of that paper: probably not SER-FIQ's",
}
SIGNS = {"star": "*", "dagger": "\u2020"}
UNRELIABLE = ("unassigned", "doubtful", "copied", "second hand")
SECOND_HAND = "second_hand"
# printed name -> name of the method measured here, where it is not the same thing
COUNTERPARTS = {"FaceQgen": "FaceQgen (re-interpretation)"}


def load_published(name: str) -> pd.DataFrame:
    """Table `name` of the papers' numbers, e.g. "ediffiqa_pauc" or "second_hand/clibfiqa"; one row per value.

    Columns: source (paper and table or figure), recogniser, method, benchmark, setting, quantity (one
    of QUANTITIES), discard_limit (float, NaN where it has no meaning), value (float, in `unit`), unit,
    mark (a key of MARKS). Empty text means "does not apply". Raises FiqaError if the table is missing or
    malformed.
    """
    path = project.data() / "published" / f"{name}.csv"
    if not path.is_file():
        known = ", ".join(published_names()) or "none"
        raise FiqaError(f"there is no published table {path} (known: {known})",
                        "use one of the known names, or fetch the inputs: dvc repro data.dvc")
    kinds = dict.fromkeys(COLUMNS, str) | {"discard_limit": float, "value": float}
    table = read_csv(path, kinds, REMEDY)[list(COLUMNS)]
    wrong = {
        "no value": table["value"].isna(),
        "an unknown quantity": ~table["quantity"].isin(QUANTITIES),
        "an unknown mark": ~table["mark"].isin(tuple(MARKS)),
        "a value that is there already": table.duplicated([*COLUMNS[:7]]),
        f"second-hand values belong into {SECOND_HAND}, no others":
            (table["mark"] == "second hand") != (path.parent.name == SECOND_HAND)}
    for what, rows in wrong.items():
        refuse(rows, path, what, REMEDY)
    return table


def published_names() -> list[str]:
    """Names of all tables that `load_published` reads, second-hand ones with their folder."""
    folder = project.data() / "published"
    return sorted(p.relative_to(folder).with_suffix("").as_posix() for p in folder.rglob("*.csv"))


def published_scores(method: str, benchmark: str) -> pd.Series | None:
    """Scores of single images that a method's authors published: index image (file name without ending),
    float64 values; None where there are none. FaceQAN's of XQLFW come with its repository."""
    path = project.data() / "published" / f"scores_{method}_{benchmark}.csv.gz".lower()
    if not path.is_file():
        return None
    return read_table(path).set_index("image")["score"]


def as_measured(table: pd.DataFrame) -> pd.DataFrame:
    """`table` with printed names of methods replaced by those of their counterparts here."""
    return table.assign(method=table["method"].replace(COUNTERPARTS))


def reliable(table: pd.DataFrame) -> pd.DataFrame:
    """Rows that may stand beside a measurement: none of an unknown place, doubtful or second-hand."""
    return table[~table["mark"].isin(UNRELIABLE)].reset_index(drop=True)


def pick(table: pd.DataFrame, **wanted) -> pd.DataFrame:
    """Rows of `table` whose columns equal `wanted` (a value, or a list of accepted values), index reset.

    >>> pick(pd.DataFrame({"k": [2, 5], "ms": [1.0, 3.0]}), k=5)["ms"].tolist()
    [3.0]
    """
    for column, value in wanted.items():
        if column not in table:
            raise FiqaError(f"the table has no column {column}", f"choose among {', '.join(table.columns)}")
        accepted = value if isinstance(value, (list, tuple, set)) else [value]
        table = table[table[column].isin(list(accepted))]
    return table.reset_index(drop=True)
