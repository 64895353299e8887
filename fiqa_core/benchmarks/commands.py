"""`python -m fiqa_core data fetch|pairs`: open benchmarks, and comparisons of one's own faces."""
from pathlib import Path

import pandas as pd

from fiqa_core.base.errors import FiqaError
from fiqa_core.benchmarks.downloads import DATA_SETS, fetch_data, find_data
from fiqa_core.benchmarks.loaders.drawing import draw_pairs, pair_list_hash, pair_list_text
from fiqa_core.benchmarks.loaders.folders import named_by_path, paths_below


def add_arguments(parser) -> None:
    """The two actions with their arguments."""
    actions = parser.add_subparsers(dest="action", required=True)
    fetched = actions.add_parser("fetch", help="download a benchmark, after showing its terms")
    fetched.add_argument("name", help=f"one of: {', '.join(DATA_SETS)}")
    fetched.add_argument("--accept-licence", action="store_true", help="accept the terms that are shown")
    fetched.set_defaults(act=fetch)
    drawn = actions.add_parser("pairs", help="draw comparisons of a folder of faces into its pairs.csv")
    drawn.add_argument("folder", type=Path, help="one folder per person")
    drawn.add_argument("--genuine", type=int, default=3000, help="comparisons of one person (default: 3000)")
    drawn.add_argument("--impostor", type=int, default=10000,
                       help="comparisons of two people (default: 10000)")
    drawn.add_argument("--per-identity", type=int, default=200, help="of each person at most (default: 200)")
    drawn.add_argument("--seed", type=int, default=1,
                       help="another seed draws other comparisons (default: 1)")
    drawn.set_defaults(act=pairs)


def run(args) -> int:
    """Run the chosen action; exit code 0."""
    return args.act(args)


def fetch(args) -> int:
    """Download and unpack a benchmark."""
    print(f"{args.name} is in {fetch_data(find_data(args.name), args.accept_licence)}")
    return 0


def pairs(args) -> int:
    """Write FOLDER/pairs.csv; an existing list stays unless it is the same."""
    table = drawn_pairs(args.folder, args.genuine, args.impostor, args.per_identity, args.seed)
    path, text = args.folder / "pairs.csv", pair_list_text(table)
    if path.is_file() and path.read_text() != text:
        raise FiqaError(f"{path} is there already and differs", "keep it, or delete it to draw a new list")
    path.write_text(text)
    genuine = int(table["genuine"].sum())
    print(
        f"wrote {path}: {genuine:,} genuine and {len(table) - genuine:,} impostor pairs, "
        f"sha256 {pair_list_hash(table)}"
    )
    return 0


def drawn_pairs(folder: Path, genuine: int, impostor: int, per_identity: int, seed: int) -> pd.DataFrame:
    """Comparisons a, b, genuine of the images below `folder`, each person a folder of it.

    Raises FiqaError for a folder that is missing, without people, or in which nobody has two images.
    """
    if not folder.is_dir():
        raise FiqaError(f"face folder {folder} is missing", "give a folder with one folder per person")
    table = draw_pairs(named_by_path(paths_below(folder), folder), genuine, impostor, per_identity, seed)
    if table["genuine"].nunique() < 2:
        missing = "two people" if len(table) and table["genuine"].all() else "a person with two images"
        raise FiqaError(f"{folder} has not {missing}",
                        "make one folder per person, with several images of each")
    return table
