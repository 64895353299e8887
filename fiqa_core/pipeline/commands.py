"""The small subcommands of the pipeline: `suite`, `run` and `digest`. `repro` and `report` have modules of their own."""
from fiqa_core.pipeline.runner import run_notebook, write_digests
from fiqa_core.pipeline.suites import key_and_value, suite_names, write_params


class Suite:
    """Make a suite the active one (writes params.yaml)."""

    @staticmethod
    def add_arguments(parser) -> None:
        parser.add_argument("name", choices=suite_names())
        parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")

    @staticmethod
    def run(args) -> int:
        print(f"wrote {write_params(args.name, args.set)}; reproduce it with: make repro")
        return 0


class Run:
    """Execute one notebook with parameters, as the stages do."""

    @staticmethod
    def add_arguments(parser) -> None:
        parser.add_argument("notebook", help="name without .ipynb, for instance 05_score")
        parser.add_argument("parameters", nargs="*", metavar="KEY=VALUE")

    @staticmethod
    def run(args) -> int:
        run_notebook(args.notebook, dict(key_and_value(text) for text in args.parameters))
        return 0


class Digest:
    """Write what each notebook computes to build/code (the first stage of the pipeline)."""

    @staticmethod
    def add_arguments(parser) -> None:
        pass

    @staticmethod
    def run(args) -> int:
        print(f"{len(write_digests())} digests in build/code")
        return 0
