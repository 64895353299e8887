"""`python -m fiqa_core weights list|fetch|check|add|convert`: official checkpoints on the command line."""
import time
from pathlib import Path
from textwrap import fill

from fiqa_core.base.errors import FiqaError
from fiqa_core.weights import presence
from fiqa_core.weights.catalogue import COMMAND, KINDS, Model, find_model, models
from fiqa_core.weights.place import weights_folder

GITHUB = "https://github.com/"
TITLES = {"recogniser": "recognisers", "quality": "quality networks", "diffusion": "diffusion models",
          "detector": "face detectors"}


def add_arguments(parser) -> None:
    """The five actions with their arguments."""
    actions = parser.add_subparsers(dest="action", required=True)

    def action(name: str, act, text: str):
        subparser = actions.add_parser(name, help=text, description=text)
        subparser.set_defaults(act=act)
        return subparser

    action("list", show, "what there is, whether it is here, and how to get it").add_argument(
        "slugs", nargs="*", metavar="SLUG", help="show everything about these")
    fetched = action("fetch", fetch_all, "download checkpoints, after showing their licence")
    fetched.add_argument("slugs", nargs="+", metavar="SLUG")
    fetched.add_argument("--accept-licence", action="store_true", help="accept the licence that is shown")
    action("check", check_all, "verify and load what is here, one at a time").add_argument(
        "slugs", nargs="*", metavar="SLUG", help="only these (default: all that are here)")
    added = action("add", add_one, "put a file you have in its place, after verifying that it loads")
    added.add_argument("slug", metavar="SLUG")
    added.add_argument("file", metavar="FILE", type=Path)
    added.add_argument("--link", action="store_true", help="link the file instead of copying it")
    added.add_argument("--replace", action="store_true", help="take the place of another file that is there")
    converted = action("convert", convert_one, "save the tensors of an old pickle as a plain file")
    converted.add_argument("source", metavar="IN", type=Path)
    converted.add_argument("target", metavar="OUT", type=Path)


def run(args) -> int:
    """Run the chosen action; exit code 0, or 1 where `check` found a fault."""
    return args.act(args)


def show(args) -> int:
    """The table of all models, or everything about the given ones."""
    if args.slugs:
        print("\n\n".join(details(find_model(slug)) for slug in args.slugs))
    else:
        print(table())
    return 0


def fetch_all(args) -> int:
    """Download the given models one after the other."""
    from fiqa_core.weights.fetch import fetch

    for model in [find_model(slug) for slug in args.slugs]:
        print(f"{model.slug} is at {fetch(model, args.accept_licence)}\n  use it: {usage(model)}")
    return 0


def check_all(args) -> int:
    """Check the given models, or all that are here; a line for each, exit code 1 if one is not good."""
    chosen = [find_model(slug) for slug in args.slugs]
    chosen = chosen or [model for model in models().values() if presence.state_of(model) != "missing"]
    if not chosen:
        print(f"no official checkpoints in {weights_folder()}; see what there is with: {COMMAND} list")
    faults = sum(not _check(model) for model in chosen)
    return 1 if faults else 0


def add_one(args) -> int:
    """Put the user's file in its place."""
    from fiqa_core.loading import load_published
    model = find_model(args.slug)
    place = presence.add(model, args.file, load_published, args.link, args.replace)
    print(f"{model.slug}: {args.file} {loads(model)}; it is at {place}\n  use it: {usage(model)}")
    return 0


def convert_one(args) -> int:
    """Read an old pickle in a separate process and save its tensors."""
    from fiqa_core.weights.convert import convert

    refused = convert(args.source, args.target)
    print(f"wrote {args.target}: tensors only, safe to load")
    if refused:
        print(f"  left out, without running it: {', '.join(refused)}")
    return 0


def table() -> str:
    """All models by kind: slug, state, size, licence and how to get each, as aligned text."""
    rows = [("", "state", "size", "licence", "how to get it")]
    for kind in KINDS:
        rows += [(f"{TITLES[kind]}:", "", "", "", "")]
        rows += [row(model) for model in models().values() if model.kind == kind]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
             for line in rows]
    return "\n".join([f"weights folder: {weights_folder()}", "", *lines, "",
                      "by hand: a repository on GitHub, where its README says",
                      f"everything about one:  {COMMAND} list SLUG",
                      f"a file you have:       {COMMAND} add SLUG FILE"])


def row(model: Model) -> tuple[str, ...]:
    """A model's line of the table."""
    get = "weights fetch" if model.url else f"by hand: {model.source.page.removeprefix(GITHUB)}"
    return f"  {model.slug}", presence.state_of(model), size(model), model.source.licence, get


def size(model: Model) -> str:
    """Size of the file that is here, or of the published one, in MB; "?" where nobody stated it."""
    path = presence.path_of(model)
    known = path.stat().st_size if path.is_file() else model.size
    return f"{known / 1e6:.1f} MB" if known else "?"


def details(model: Model) -> str:
    """Everything the catalogue knows about a model, one fact per line."""
    source = model.source
    facts = {
        "paper": fill(source.paper, 92, subsequent_indent=" " * 16),
        "reference": source.reference(),
        "page": source.page,
        "licence": f"{source.licence}. {source.terms or ''}",
        "trained on": model.trained_on,
        "architecture": f"{model.architecture or 'none here yet'} ({model.kind})",
        "file": presence.path_of(model),
        "size": f"{model.size:,} bytes" if model.size else "not stated",
        "sha256": _digest(model),
        "state": presence.state_of(model),
        "by hand": None if model.url else source.get,
        "to get it": model.command(),
        "to use it": usage(model),
        "note": model.note,
    }
    return "\n".join([model.slug, *(f"  {name:<12}  {fact}" for name, fact in facts.items() if fact)])


def usage(model: Model) -> str:
    """The line of Python or the option that uses the model's file."""
    if model.architecture is None:
        return f'fiqa_core.weights.tensors.read_tensors("{model.file}")'
    if model.kind == "detector":
        return f"python -m fiqa_core score ... --detector {model.slug}"
    load = {"recogniser": "load_recogniser", "quality": "load_quality"}.get(model.kind)
    if load is None:
        return f'fiqa_core.load_diffusion("{model.file}")'
    return f'fiqa_core.{load}("{model.architecture}", "{model.file}")'


def loads(model: Model) -> str:
    """What loading the model's file has shown."""
    return f"loads as {model.architecture}" if model.architecture else "its tensors are read"


def _check(model: Model) -> bool:
    """One line about one model; False where it is not good."""
    from fiqa_core.loading import load_published
    start = time.monotonic()
    try:
        found = presence.check(model, load_published)
    except FiqaError as error:
        print(f"FAULT  {error}")
        return False
    print(f"good   {model.slug}: {found}, {loads(model)} in {time.monotonic() - start:.1f} s")
    return True


def _digest(model: Model) -> str:
    if model.sha256 is None:
        return "not stated; recorded when the file is added or checked"
    return model.sha256 if len(model.sha256) == 64 else f"{model.sha256}... (only this much is known)"
