"""`python -m fiqa_core doctor`: exit code 0 if a suite can run here, 1 if something it needs is not there."""
import time

import pandas as pd
import torch
import yaml

from fiqa_core.base import project
from fiqa_core.base.project import settings
from fiqa_core.doctor.checkpoints import checkpoint_findings
from fiqa_core.doctor.copies import benchmark_findings
from fiqa_core.doctor.costs import Costs
from fiqa_core.doctor.findings import UNKNOWN_KEY, Finding
from fiqa_core.doctor.machine import Machine
from fiqa_core.doctor.plan import estimates
from fiqa_core.doctor.report import report
from fiqa_core.doctor.resources import resource_findings
from fiqa_core.doctor.workload import face_sets
from fiqa_core.pipeline.suites import chosen_suite, suite_names, unknown_keys
from fiqa_core.pipeline.timing import processor

MOST = 0.95  # share of other programs that is believed


def add_arguments(parser) -> None:
    """Options: the suite, and changes of it."""
    parser.add_argument("--suite", choices=suite_names(), help="default: the active one (params.yaml)")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE",
                        help="as the run would be started; may be repeated")


def run(args) -> int:
    """Print the report; 0 if nothing is missing, else 1."""
    suite = chosen_suite(args.suite or settings("suite"), args.set) if args.suite or args.set else settings()
    machine = Machine()
    text, sound = examine(suite, machine)
    print(text)
    return 0 if sound else 1


def examine(suite: dict, machine: Machine) -> tuple[str, bool]:
    """The report on a suite, and whether nothing is missing. Raises FiqaError for a suite without sense."""
    findings = [*misspelt(suite), *benchmark_findings(suite["faces"]), *checkpoint_findings(suite)]
    sets, costs = face_sets(suite), Costs(suite, machine)
    name = processor(machine.device)
    start = time.perf_counter(), time.process_time()
    plan = estimates(suite, sets, machine, measured(suite["suite"], name))
    wall, own = time.perf_counter() - start[0], time.process_time() - start[1]
    busy = min(max(0.0, 1 - own / wall), MOST) if machine.device.type == "cpu" else 0.0
    findings += resource_findings(suite, sets, costs)
    where = f"{name}, {torch.get_num_threads()} threads" if machine.device.type == "cpu" else name
    return report(suite, where, findings, plan, busy), not any(finding.problem for finding in findings)


def misspelt(suite: dict) -> list[Finding]:
    """A finding for each key that no function takes."""
    return [
        Finding("suite", key, UNKNOWN_KEY, "no function takes it", remedy="correct or remove it in the suite")
        for key in unknown_keys(suite)
    ]


def measured(name: str, machine: str) -> dict[str, float]:
    """Seconds per image by method from results/runtime/methods.csv, if this suite made it on this machine."""
    params, path = project.root() / "params.yaml", project.results() / "runtime" / "methods.csv"
    if not (path.is_file() and params.is_file()) or yaml.safe_load(params.read_text()).get("suite") != name:
        return {}
    table = pd.read_csv(path)
    table = table[(table["processor"] == machine) & (table["threads"] == torch.get_num_threads())]
    return dict(zip(table["method"], table["batch_ms"] / 1000))
