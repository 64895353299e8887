"""The doctor's report as text: what is needed, how long it takes, what to do."""
from fiqa_core.base.progress import clock
from fiqa_core.doctor.findings import Finding
from fiqa_core.doctor.machine import ASSUMED, MEASURED, SCALED, TIMED
from fiqa_core.doctor.plan import Estimate
from fiqa_core.weights.catalogue import COMMAND

FETCH = f"{COMMAND} fetch "
SHARE = 0.01  # of the whole time, from which on a stage has a line of its own
DETAIL, TERMS = 90, 56  # characters of a cell; what is longer is cut
BUSY = 0.3  # share of other programs that is worth a warning
DAY, YEAR = 86_400, 365 * 86_400
EXPLAINED = {MEASURED: "stage `time` measured this method here",
             TIMED: "this very work, tried for a moment just now",
             SCALED: "a like network or picture, tried just now, scaled by size", ASSUMED: "a rule of thumb"}


def report(suite: dict, machine: str, findings: list[Finding], plan: list[Estimate],
           busy: float = 0.0) -> str:
    """The whole text, without a line end. busy: share of the trial's time that other programs took."""
    return "\n".join(
        [
            *heading(suite, machine),
            "",
            *needed(findings),
            "",
            *times(plan),
            *warning(busy, sum(estimate.seconds for estimate in plan)),
            "",
            *remedies(findings),
        ]
    )


def warning(busy: float, whole: float) -> list[str]:
    """A line where other programs use the processor: the times are for one that is idle."""
    if busy < BUSY:
        return []
    return [
        f"  These times are for an idle machine. Now other programs have {busy:.0%} of the processor's time: "
        f"as it is, all takes about {span(whole / (1 - busy))}."
    ]


def heading(suite: dict, machine: str) -> list[str]:
    """Which suite on which machine."""
    sets = (
        suite["faces"].get("benchmarks")
        or suite["faces"].get("protocols")
        or [suite["faces"].get("name", "faces")]
    )
    compared = sum(config.get("compare", True) for config in suite["recognisers"].values())
    return [
        f"suite {suite['suite']}: {count(len(sets), 'benchmark')}, {count(compared, 'recogniser')} compared; "
        f"on {machine}"
    ]


def needed(findings: list[Finding]) -> list[str]:
    """The findings by section, as aligned columns."""
    rows, section = [], None
    for finding in findings:
        if finding.section != section:
            section = finding.section
            rows.append((f"{section}:", "", "", ""))
        rows.append(
            (
                f"  {finding.name}",
                ("! " if finding.problem else "  ") + finding.state,
                cut(finding.detail, DETAIL),
                cut(finding.terms, TERMS),
            )
        )
    return aligned([("", "  state", "found", "licence, terms"), *rows])


def times(plan: list[Estimate]) -> list[str]:
    """Stages that take a share worth a line, the others in one, their sum, and how each estimate is known."""
    whole = sum(estimate.seconds for estimate in plan)
    large = [estimate for estimate in plan if estimate.seconds >= SHARE * whole]
    rows = [(estimate.stage, estimate.work, span(estimate.seconds), estimate.basis) for estimate in large]
    if len(large) < len(plan):
        rest = whole - sum(estimate.seconds for estimate in large)
        rows.append((f"{len(plan) - len(large)} smaller stages", "", span(rest), ""))
    used = {estimate.basis for estimate in large}
    return [
        *aligned(
            [
                ("stage", "work", "time", "how it is known"),
                *rows,
                ("all", "one after the other", span(whole), ""),
            ]
        ),
        *(f"  {basis}: {meaning}" for basis, meaning in EXPLAINED.items() if basis in used),
    ]


def remedies(findings: list[Finding]) -> list[str]:
    """What to do, the same remedy once for all that it cures; then the verdict."""
    cures: dict[str, list[str]] = {}
    for finding in findings:
        if finding.problem:
            cures.setdefault(finding.remedy, []).append(finding.name)
    fetched = [remedy.removeprefix(FETCH) for remedy in cures if remedy.startswith(FETCH)]
    lines = [f"  {', '.join(names)}: {remedy}" for remedy, names in cures.items()
             if not remedy.startswith(FETCH)]
    lines += [f"  {FETCH}{' '.join(fetched)}"] if fetched else []
    hints = {finding.remedy: finding.name for finding in findings if finding.remedy and not finding.problem}
    lines += [f"  ({name}: {remedy})" for remedy, name in hints.items() if remedy not in cures]
    problems = sum(finding.problem for finding in findings)
    verdict = (
        f"{count(problems, 'problem')}: a run would stop, or measure less than it says."
        if problems
        else "nothing is missing."
    )
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
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows]
