"""The command line: one subcommand per module that offers `add_arguments(parser)` and `run(args)`."""
import argparse
import sys
from importlib import import_module

from fiqa_core.base.errors import FiqaError

# name -> (module, attribute that holds the two functions or None for the module itself, one-line help)
COMMANDS = {
    "score": ("fiqa_core.pipeline.score_folder", None, "score a folder of images"),
    "weights": ("fiqa_core.weights.commands", None, "official checkpoints: list, fetch, check, add, convert"),
    "doctor": ("fiqa_core.doctor.report", None, "what a suite needs, what is here, how long it takes"),
    "data": ("fiqa_core.benchmarks.commands", None, "benchmarks: fetch what is open, draw pairs"),
    "repro": ("fiqa_core.pipeline.repro", None, "reproduce all tables and figures"),
    "suite": ("fiqa_core.pipeline.commands", "Suite", "make a suite the active one"),
    "run": ("fiqa_core.pipeline.commands", "Run", "execute one notebook"),
    "digest": ("fiqa_core.pipeline.commands", "Digest", "write what each notebook computes"),
    "report": ("fiqa_core.reporting.html_report", None, "build the HTML report"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; exit code 2 and one clear message for bad input, 130 after Ctrl-C."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="python -m fiqa_core", description="FIQA Workbook")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (_, _, text) in COMMANDS.items():
        subparser = commands.add_parser(name, help=text, description=text)
        if name in arguments[:1]:
            _command(name).add_arguments(subparser)
    args = parser.parse_args(arguments)
    try:
        return _command(args.command).run(args)
    except FiqaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130


def _command(name: str):
    """The module or class of a subcommand, imported only when it is asked for."""
    module, attribute, _ = COMMANDS[name]
    return getattr(import_module(module), attribute) if attribute else import_module(module)
