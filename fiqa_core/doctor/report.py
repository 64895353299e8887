"""`python -m fiqa_core doctor`: what a suite needs, what of it is here, how long it takes, what to do."""
import torch

from fiqa_core.base import project
from fiqa_core.base.files import read_table
from fiqa_core.base.progress import clock
from fiqa_core.base.project import settings
from fiqa_core.doctor.estimates import Costs, Estimate, estimates
from fiqa_core.doctor.machine import ASSUMED, MEASURED, SCALED, TIMED, Machine
from fiqa_core.doctor.needs import Finding, findings
from fiqa_core.doctor.resources import resource_findings
from fiqa_core.doctor.workload import active, face_sets
from fiqa_core.pipeline.suites import chosen_suite
from fiqa_core.pipeline.timing import processor
from fiqa_core.weights.catalogue import COMMAND

FETCH = f"{COMMAND} fetch "
SHARE = 0.01  # of the whole time, from which on a stage has a line of its own
DETAIL, TERMS = 90, 56  # characters of a cell; what is longer is cut
DAY, YEAR = 86_400, 365 * 86_400
EXPLAINED = {MEASURED: "stage `time` measured this method here",
             TIMED: "this very work, tried for a moment just now, as on an idle machine",
             SCALED: "a like network or picture, tried just now, scaled by size", ASSUMED: "a rule of thumb"}


def examine(name: str | None = None, changes: list[str] = ()) -> int:
    """Print the report on a suite with "section.key=value" changes, by default the active one.

    Returns the exit code: 0 if it can run here, 1 if something it needs is not there.
    """
    suite = chosen_suite(name or settings("suite"), changes) if name or changes else settings()
    text, sound = report(suite, Machine())
    print(text)
    return 0 if sound else 1


def report(suite: dict, machine: Machine) -> tuple[str, bool]:
    """The report on a suite, and whether nothing is missing. Raises FiqaError for a suite without sense."""
    name, costs = processor(machine.device), Costs(suite, face_sets(suite), machine)
    found = [*findings(suite), *resource_findings(costs)]
    plan = estimates(costs, measured(suite["suite"], name))
    where = f"{name}, {torch.get_num_threads()} threads" if machine.device.type == "cpu" else name
    return text(suite, where, found, plan), not any(finding.problem for finding in found)


def measured(name: str, machine: str) -> dict[str, float]:
    """Seconds per image by method from results/runtime/methods.csv, if this suite made it on this machine."""
    path = project.results() / "runtime" / "methods.csv"
    if not (active(name) and path.is_file()):
        return {}
    table = read_table(path)
    table = table[(table["processor"] == machine) & (table["threads"] == torch.get_num_threads())]
    return dict(zip(table["method"], table["batch_ms"] / 1000))


def text(suite: dict, machine: str, found: list[Finding], plan: list[Estimate]) -> str:
    """The whole text, without a line end."""
    return "\n".join([heading(suite, machine), "", *needed(found), "", *times(plan), "", *remedies(found)])


def heading(suite: dict, machine: str) -> str:
    """Which suite on which machine."""
    faces = suite["faces"]
    sets = faces.get("benchmarks") or faces.get("protocols") or [faces.get("name", "faces")]
    compared = sum(config.get("compare", True) for config in suite["recognisers"].values())
    return (f"suite {suite['suite']}: {count(len(sets), 'benchmark')}, {count(compared, 'recogniser')} "
            f"compared; on {machine}")


def needed(found: list[Finding]) -> list[str]:
    """The findings by section, as aligned columns."""
    rows, section = [("", "  state", "found", "licence, terms")], None
    for finding in found:
        if finding.section != section:
            section = finding.section
            rows.append((f"{section}:", "", "", ""))
        rows.append((f"  {finding.name}", ("! " if finding.problem else "  ") + finding.state,
                     cut(finding.detail, DETAIL), cut(finding.terms, TERMS)))
    return aligned(rows)


def times(plan: list[Estimate]) -> list[str]:
    """Stages that take a share worth a line, the others in one, their sum, and how each estimate is known."""
    whole = sum(estimate.seconds for estimate in plan)
    large = [estimate for estimate in plan if estimate.seconds >= SHARE * whole]
    rows = [(estimate.stage, estimate.work, span(estimate.seconds), estimate.basis) for estimate in large]
    if len(large) < len(plan):
        rest = whole - sum(estimate.seconds for estimate in large)
        rows.append((f"{len(plan) - len(large)} smaller stages", "", span(rest), ""))
    used = {estimate.basis for estimate in large}
    return [*aligned([("stage", "work", "time", "how it is known"), *rows,
                      ("all", "one after the other", span(whole), "")]),
            *(f"  {basis}: {meaning}" for basis, meaning in EXPLAINED.items() if basis in used)]


def remedies(found: list[Finding]) -> list[str]:
    """What to do, the same remedy once for all that it cures; then the verdict."""
    cures: dict[str, list[str]] = {}
    for finding in found:
        if finding.problem:
            cures.setdefault(finding.remedy, []).append(finding.name)
    fetched = [remedy.removeprefix(FETCH) for remedy in cures if remedy.startswith(FETCH)]
    lines = [f"  {', '.join(names)}: {remedy}" for remedy, names in cures.items()
             if not remedy.startswith(FETCH)]
    lines += [f"  {FETCH}{' '.join(fetched)}"] if fetched else []
    hints = {finding.remedy: finding.name for finding in found if finding.remedy and not finding.problem}
    lines += [f"  ({name}: {remedy})" for remedy, name in hints.items() if remedy not in cures]
    problems = sum(finding.problem for finding in found)
    verdict = (f"{count(problems, 'problem')}: a run would stop, or measure less than it says." if problems
               else "nothing is missing.")
    return [*(["what to do:", *lines, ""] if lines else []), verdict]


def span(seconds: float) -> str:
    """Seconds as a person plans: minutes and hours as `clock`, then days and years."""
    if seconds < 2 * DAY:
        return clock(seconds)
    return f"{seconds / DAY:.0f} days" if seconds < 2 * YEAR else f"{seconds / YEAR:.0f} years"


def count(number: int, what: str) -> str:
    """ "1 problem", "2 problems"."""
    return f"{number} {what}{'s' if number != 1 else ''}"


def cut(text: str, width: int) -> str:
    """The text, or its beginning where it is longer than `width`."""
    return text if len(text) <= width else text[: width - 3] + "..."


def aligned(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows of cells as lines, columns padded to their widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
