"""The command line, `python -m fiqa_core COMMAND`: what each command takes, and what it does.

What is slow to import (torch, pandas) is imported by the command that needs it: help answers at once.
"""
import ast
import os
import re
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path

from fiqa_core.base import project
from fiqa_core.base.errors import FiqaError, system_error
from fiqa_core.base.project import suite_names
from fiqa_core.course.commands import course_arguments
from fiqa_core.weights import overview, presence
from fiqa_core.weights.catalogue import COMMAND, find_model, models
from fiqa_core.weights.place import weights_folder
from fiqa_core.weights.shipped import shipped


def main(arguments: list[str] | None = None) -> int:
    """Run a command; exit code 2 and one clear message for bad input, 130 after Ctrl-C."""
    args = command_line().parse_args(arguments)
    try:
        code = args.run(args) or 0
        sys.stdout.flush()
        return code
    except BrokenPipeError:                 # whoever read the output has had enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (FiqaError, OSError, UnicodeError) as error:
        print(f"error: {error if isinstance(error, FiqaError) else system_error(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130


def command_line() -> ArgumentParser:
    """Every command with its arguments; `run` of what it parses is the function to call."""
    parser = ArgumentParser(prog="python -m fiqa_core", description="FIQA Workbook")
    command = adder(parser)
    score_arguments(command("score", score, "score a folder of images"))
    weights_arguments(command("weights", None, "official checkpoints: list, fetch, check, add, convert"))
    doctor = command("doctor", examine, "what a suite needs, what is here, how long it takes")
    doctor.add_argument("--suite", choices=suite_names(), help="default: the active one (params.yaml)")
    changes(doctor, "as the run would be started; may be repeated")
    data_arguments(command("data", None, "benchmarks: fetch what is open, draw pairs"))
    repro = command("repro", reproduce, "reproduce all tables and figures")
    repro.add_argument("--suite", choices=suite_names(), help="switch params.yaml to this suite first")
    changes(repro, "change one value of the suite; may be repeated")
    repro.add_argument("--accept-licence", action="store_true",
                       help="accept the terms of files that the suite gets from Python packages")
    repro.add_argument("targets", nargs="*", help="stages to reproduce (default: all)")
    suite = command("suite", activate, "make a suite the active one")
    suite.add_argument("name", choices=suite_names())
    changes(suite, "change one value of the suite; may be repeated")
    notebook = command("run", execute, "execute one notebook with parameters, as the stages do")
    notebook.add_argument("notebook", help="name without .ipynb, for instance 05_score")
    notebook.add_argument("parameters", nargs="*", metavar="KEY=VALUE")
    bench_arguments(command("bench", bench, "how fast the kernels are on this device, and what precision costs"))
    command("digest", digest, "write what each notebook computes to build/code, the pipeline's first stage")
    command("inputs", inputs, "write which files of yours the suite reads to build, so that a replaced one counts")
    command("report", report, "build the HTML report")
    command("seeds", seeds, "train the distilled methods with further seeds: how far chance moves their areas")
    command("ship", ship, "make the networks that suite pretrain has trained those that ship with the workbook")
    course_arguments(adder(command("course", None, "a course in lessons: start, release, grade, book")))
    return parser


def adder(parser: ArgumentParser) -> Callable[..., ArgumentParser]:
    """(name, the function that runs it, one-line help) -> the parser of a new command below `parser`."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[Namespace], int | None] | None, text: str) -> ArgumentParser:
        subparser = commands.add_parser(name, help=text, description=text)
        subparser.set_defaults(**{"run": run} if run else {})
        return subparser

    return add


def changes(parser: ArgumentParser, text: str) -> None:
    """The options that change values of a suite."""
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help=text)
    parser.add_argument("--changes", action="extend", dest="set", type=split_changes, metavar="TEXT",
                        help="several such changes with spaces between, as `make repro SET=TEXT` has them")


def split_changes(text: str) -> list[str]:
    """The changes of a text: one begins after a space with "key=", but not within brackets or quotation
    marks.

    >>> split_changes("a.b=[x, y=1] about=two words c='x d=1'")
    ['a.b=[x, y=1]', 'about=two words', "c='x d=1'"]
    """
    starts, depth, quote = [0], 0, ""
    for place, sign in enumerate(text):
        if quote:
            quote = quote.replace(sign, "")
        elif sign in "'\"" and text[:place].rstrip()[-1:] in tuple("=[{,:"):     # not the apostrophe of a word
            quote = sign
        elif sign.isspace() and not depth and re.match(r"\s+[\w.-]+=", text[place:]):
            starts.append(place)
        else:
            depth += (sign in "[{") - (sign in "]}")
    parts = [text[start:end].strip() for start, end in zip(starts, [*starts[1:], None])]
    return [part for part in parts if part]


# score

def score_arguments(parser: ArgumentParser) -> None:
    """Arguments of `score`."""
    parser.epilog = (
        "Images are taken as 112 x 112 crops aligned to the ArcFace template, unless --landmarks or "
        "--detector says where the faces are. Scores are higher for better images; their scale is the "
        "method's own. The percentile is the image's rank within this folder.")
    parser.add_argument("folder", type=Path, help="folder of images, searched with its subfolders")
    parser.add_argument("--method", required=True, help=f"one of: {', '.join(slugs())}")
    parser.add_argument("--recogniser", help="for methods that need one: architecture, or name of a recogniser "
                        "that `make repro` trained")
    parser.add_argument("--weights", type=Path,
                        help="the recogniser's checkpoint; default: as `make repro` trained it")
    parser.add_argument("--model", type=Path, help="diffusion model of diffiqa, or weights of a one-pass "
                        "method; default: as `make repro` trained it")
    parser.add_argument("--out", type=Path, required=True,
                        help="CSV to write: image, score, percentile, status")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--aligned", action="store_true", help="images are aligned 112 x 112 crops (default)")
    where.add_argument("--landmarks", type=Path, help="CSV: path and five points of each image")
    where.add_argument("--detector",
                       help='"mtcnn", "yunet" or the path of a YuNet ONNX file; the largest face counts')
    parser.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="of the method's "
                        "class, may be repeated; for instance dropout=0.4 of ser_fiq, repeats=4 of faceqan")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: FIQA_DEVICE, else the first GPU)")
    parser.add_argument("--precision", choices=("float32", "tf32", "bf16"), default="float32", help="of the "
                        "networks' products; the faster ones move ranks as another seed does: see `bench`")
    parser.add_argument("--batch", type=int, default=32, help="images per step; does not change the scores")


def slugs() -> list[str]:
    """Slugs of all methods, out of the text of the files that declare them: importing these takes seconds."""
    here, found = Path(__file__).parent, []
    for path in sorted((*here.glob("kernels/*.py"), *here.glob("methods/*.py"))):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "METHODS":
                found += [call.args[0].value for call in getattr(node.value, "elts", ())]
    return found


def score(args: Namespace) -> int:
    """Quality scores of a folder; 0 if every image has one."""
    from fiqa_core.pipeline import score_folder
    return score_folder.run(args)


# bench

def bench_arguments(parser: ArgumentParser) -> None:
    """Arguments of `bench`."""
    parser.epilog = ("The papers' networks need a GPU and minutes there; on a CPU small ones of the same layers are "
                     "measured, unless --networks says otherwise.")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: FIQA_DEVICE, else the first GPU)")
    parser.add_argument("--networks", choices=("papers", "small"), help="default: papers on a GPU, small on a CPU")
    parser.add_argument("--faces", type=int, default=200, help="rendered faces that are scored (default: 200)")
    parser.add_argument("--out", type=Path, default=Path("bench"), help="writes OUT.csv and OUT.json (default: bench)")


def bench(args: Namespace) -> None:
    """Measure the kernels."""
    from fiqa_core.base.device import default_device
    from fiqa_core.pipeline.bench import run
    if args.device:
        os.environ["FIQA_DEVICE"] = args.device
    device = default_device()
    small = args.networks == "small" or (args.networks is None and device.type == "cpu")
    run(device, small, args.out, args.faces)
    print(f"wrote {args.out.with_suffix('.csv')} and {args.out.with_suffix('.json')}")


# weights

def weights_arguments(parser: ArgumentParser) -> None:
    """The five actions with their arguments."""
    action = adder(parser)
    action("list", show, "what there is, whether it is here, and how to get it").add_argument(
        "slugs", nargs="*", metavar="SLUG", help="show everything about these")
    fetched = action("fetch", fetch, "download checkpoints, after showing their licence")
    fetched.add_argument("slugs", nargs="+", metavar="SLUG")
    fetched.add_argument("--accept-licence", action="store_true", help="accept the licence that is shown")
    action("check", check, "verify and load what is here, one at a time").add_argument(
        "slugs", nargs="*", metavar="SLUG", help="only these (default: all that are here)")
    added = action("add", add, "put a file you have in its place, after verifying that it loads")
    added.add_argument("slug", metavar="SLUG")
    added.add_argument("file", metavar="FILE", type=Path)
    added.add_argument("--link", action="store_true", help="link the file instead of copying it")
    added.add_argument("--replace", action="store_true", help="take the place of another file that is there")
    converted = action("convert", convert, "save the tensors of an old pickle as a plain file")
    converted.add_argument("source", metavar="IN", type=Path)
    converted.add_argument("target", metavar="OUT", type=Path)


def show(args: Namespace) -> None:
    """The table of all models, or everything about the given ones."""
    own = shipped() if args.slugs else {}
    print("\n\n".join(overview.own_details(own[slug]) if slug in own else overview.details(find_model(slug))
                      for slug in args.slugs) or overview.table())


def fetch(args: Namespace) -> None:
    """Download the given models one after the other."""
    from fiqa_core.weights.fetch import fetch as fetch_model
    for model in [find_model(slug) for slug in args.slugs]:
        place = fetch_model(model, args.accept_licence)
        print(f"{model.slug} is at {place}\n  use it: {overview.usage(model)}")


def check(args: Namespace) -> int:
    """Check the given models, or all that are here; a line for each, exit code 1 if one is not good."""
    from fiqa_core.loading import load_published, load_shipped
    own = [name for name in shipped() if name in args.slugs or not args.slugs]
    chosen = [find_model(slug) for slug in args.slugs if slug not in own]
    chosen = chosen or [model for model in models().values() if presence.state_of(model) != "missing" and not args.slugs]
    if not chosen and not args.slugs:
        print(f"no official checkpoints in {weights_folder()}; see what there is with: {COMMAND} list")
    faults = 0
    for model in (*own, *chosen):
        start = time.monotonic()
        try:
            if model in own:
                load_shipped(model)
                print(f"good   {model}: ships with the workbook, as its manifest says; loads in {time.monotonic() - start:.1f} s")
                continue
            found = presence.check(model, load_published)
            print(f"good   {model.slug}: {found}, {overview.loads(model)} in {time.monotonic() - start:.1f} s")
        except FiqaError as error:
            faults += 1
            print(f"FAULT  {error}")
    return 1 if faults else 0


def add(args: Namespace) -> None:
    """Put the user's file in its place."""
    from fiqa_core.loading import load_published
    model = find_model(args.slug)
    place = presence.add(model, args.file, load_published, args.link, args.replace)
    print(f"{model.slug}: {args.file} {overview.loads(model)}; it is at {place}\n"
          f"  use it: {overview.usage(model)}")


def convert(args: Namespace) -> None:
    """Read an old pickle in a separate process and save its tensors."""
    from fiqa_core.weights.convert import convert as convert_file
    refused = convert_file(args.source, args.target)
    print(f"wrote {args.target}: tensors only, safe to load")
    if refused:
        print(f"  left out, without running it: {', '.join(refused)}")


# data

def data_arguments(parser: ArgumentParser) -> None:
    """The two actions with their arguments."""
    action = adder(parser)
    fetched = action("fetch", fetch_benchmark, "download a benchmark, after showing its terms")
    fetched.add_argument("name", help="for instance lfw; another name lists those there are")
    fetched.add_argument("--accept-licence", action="store_true", help="accept the terms that are shown")
    drawn = action("pairs", pairs, "draw comparisons of a folder of faces into its pairs.csv")
    drawn.add_argument("folder", type=Path, help="one folder per person")
    drawn.add_argument("--genuine", type=int, default=3000, help="comparisons of one person (default: 3000)")
    drawn.add_argument("--impostor", type=int, default=10000,
                       help="comparisons of two people (default: 10000)")
    drawn.add_argument("--per-identity", type=int, default=200, help="of each person at most (default: 200)")
    drawn.add_argument("--seed", type=int, default=1,
                       help="another seed draws other comparisons (default: 1)")


def fetch_benchmark(args: Namespace) -> None:
    """Download and unpack a benchmark."""
    from fiqa_core.benchmarks.downloads import fetch_data, find_data
    print(f"{args.name} is in {fetch_data(find_data(args.name), args.accept_licence)}")


def pairs(args: Namespace) -> None:
    """Write FOLDER/pairs.csv."""
    from fiqa_core.benchmarks.folder_pairs import write_pairs
    print(write_pairs(args.folder, args.genuine, args.impostor, args.per_identity, args.seed))


# the pipeline

def examine(args: Namespace) -> int:
    """The doctor's report; 0 if the suite can run here, 1 if something it needs is not there."""
    from fiqa_core.doctor.report import examine as examine_suite
    return examine_suite(args.suite, args.set)


def reproduce(args: Namespace) -> int:
    """Run the pipeline."""
    from fiqa_core.pipeline.repro import reproduce as reproduce_suite
    return reproduce_suite(args.suite, args.set, args.targets, args.accept_licence)


def activate(args: Namespace) -> None:
    """Write params.yaml."""
    from fiqa_core.pipeline.repro import holding_project
    from fiqa_core.pipeline.suites import write_params
    with holding_project():
        notes = write_params(args.name, args.set)
    print(*notes, f"params.yaml is suite {args.name!r} now; reproduce it with: make repro", sep="\n")


def execute(args: Namespace) -> None:
    """Execute one notebook."""
    from fiqa_core.pipeline.runner import run_notebook
    from fiqa_core.pipeline.suites import key_and_value
    run_notebook(args.notebook, dict(key_and_value(text) for text in args.parameters))


def digest(args: Namespace) -> None:
    """Write what each notebook computes."""
    from fiqa_core.pipeline.runner import write_digests
    print(f"{len(write_digests())} digests in build/code")


def inputs(args: Namespace) -> None:
    """Write the manifests of the user's files."""
    from fiqa_core.pipeline.inputs import write_inputs
    print(f"{len(write_inputs())} manifests in {project.build() / 'inputs'}")


def seeds(args: Namespace) -> None:
    """Measure the spread over the seeds of params.yaml."""
    from fiqa_core.pipeline.repro import holding_project
    from fiqa_core.pipeline.seeds import measure_seeds
    with holding_project():
        print(measure_seeds().round(3).to_string(index=False))
    print(f"written to {project.results() / 'seeds'}")


def ship(args: Namespace) -> None:
    """Write fiqa_core/inputs/networks."""
    from fiqa_core.pipeline.ship import ship_networks
    for name, network in ship_networks().items():
        print(f"{name:16s} {int(network.parameters):>9,} parameters  accuracy {network.accuracy or '-'}  "
              f"FNMR at FMR 1e-3 {network.fnmr_fmr1e3 or '-'}")
    print("bring data/ up to date, and commit both: dvc repro data.dvc")


def report(args: Namespace) -> None:
    """Build the HTML report."""
    from fiqa_core.reporting.html_report import build_report
    print(f"report: {build_report()}")
