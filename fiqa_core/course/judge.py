"""From what an answer returns to a verdict: right, a foreseen mistake, or the smallest counter-example.

Running an answer (`outputs_of`) and judging it (`judge`) are apart: a submission runs in a process of its own
and is judged outside it, by what it returned.
"""
import io
import signal
import threading
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch

from fiqa_core.base.files import first_line
from fiqa_core.course.exercise import Exercise, Verdict, defined

LONGEST = 5.0         # seconds of the processor for one exercise's cases together
PATIENCE = 12         # times as long on the clock, for an answer that sleeps
LOUDEST = 20_000      # characters that an answer may print


@dataclass(frozen=True)
class Failure:
    """Why an answer returned nothing: one sentence."""

    text: str


class TooLate(BaseException):
    """Time is up. No Exception, so that an answer's own `except Exception` lets it pass."""


class TooLoud(BaseException):
    """Too much was printed."""


class Bounded(io.StringIO):
    """What an answer prints; ends it beyond LOUDEST characters."""

    def write(self, text):
        if self.tell() + len(text) > LOUDEST:
            raise TooLoud
        return super().write(text)


@contextmanager
def time_limit(seconds: float):
    """Raise TooLate after `seconds` of the processor, where the system has such a clock and this is the main thread."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(number, frame):
        raise TooLate

    clocks = ((signal.SIGPROF, signal.ITIMER_PROF, seconds), (signal.SIGALRM, signal.ITIMER_REAL, seconds * PATIENCE))
    before = [signal.signal(number, late) for number, _, _ in clocks]
    for _, clock, limit in clocks:
        signal.setitimer(clock, limit, 1.0)                     # again each second: an answer may swallow one
    try:
        yield
    finally:
        for (number, clock, _), handler in zip(clocks, before):
            signal.setitimer(clock, 0)
            signal.signal(number, handler)


def outputs_of(answer, cases: list[tuple]) -> list:
    """What `answer` returns for each case, on copies of it: a value, or a Failure that ends the list.

    An answer that is no function is its own output.
    """
    if not callable(answer):
        return [answer]
    outputs, printed = [], Bounded()
    try:
        with time_limit(LONGEST), redirect_stdout(printed), redirect_stderr(printed):
            for case in cases:
                given = deepcopy(case)
                outputs.append(answer(*given))
                if not all(same(old, new, 0) or isinstance(old, np.random.Generator) for old, new in zip(case, given)):
                    return [Failure("it changes the arguments that it is given: work on a copy (x.copy(), "
                                    "x.clone())")]
    except TooLate:
        return [Failure(f"it ran longer than {LONGEST:g} s and was stopped: is there a loop that never ends?")]
    except TooLoud:
        return [Failure(f"it prints more than {LOUDEST:,} characters: take the print out and try again")]
    except RecursionError:
        return [Failure("it calls itself without end: give it a case in which it returns")]
    except MemoryError:
        return [Failure("it asked for more memory than there is: how large are its arrays?")]
    except (Exception, SystemExit) as error:
        line = _line_of(error)
        where = f" in its line {line}" if line else ""
        return [Failure(f"it stopped with {type(error).__name__}{where}: {first_line(error)[:200]}")]
    return outputs


def _line_of(error: BaseException) -> int | None:
    """The line within the answer's own function at which it stopped."""
    trace = error.__traceback__ and error.__traceback__.tb_next
    return trace.tb_lineno - trace.tb_frame.f_code.co_firstlineno + 1 if trace else None


def judge(exercise: Exercise, outputs: list, cases: list[tuple], seed: int) -> Verdict:
    """The verdict on `outputs` for `cases`, which come from `exercise.cases(seed)`."""
    failure = next((output for output in outputs if isinstance(output, Failure)), None)
    if failure:
        return Verdict(False, failure.text, "failed")
    if all(map(unwritten, outputs)):
        return Verdict(False, "nothing written yet: replace the dots", "nothing")
    if exercise.judge:
        return exercise.judge(outputs, cases, seed)
    wanted = [exercise.kernel(*deepcopy(case)) for case in cases]
    if agree(outputs, wanted, exercise.tolerance):
        return Verdict(True, "right", "right")
    for wrong in exercise.wrong:
        found = outputs_of(defined(exercise.wrong_code(wrong), exercise.name), cases)
        if not any(isinstance(output, Failure) for output in found) and agree(outputs, found, exercise.tolerance):
            return Verdict(False, wrong.hint, "hint")
    return counter_example(outputs, wanted, cases, exercise.tolerance)


def unwritten(output) -> bool:
    """Whether it is nothing, or a tuple of nothings, as stubs return it."""
    return output is None or output is ... or isinstance(output, (tuple, list)) and bool(output) and all(
        map(unwritten, output))


def agree(outputs: list, others: list, tolerance: float) -> bool:
    """Whether two lists of outputs are the same within `tolerance`."""
    return len(outputs) == len(others) and all(same(a, b, tolerance) for a, b in zip(outputs, others))


def same(a, b, tolerance: float) -> bool:
    """Whether two values are equal: arrays and numbers within `tolerance`, of one shape; objects by themselves."""
    if isinstance(b, (tuple, list)) and isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(same(one, other, tolerance) for one, other in zip(a, b))
    if isinstance(b, dict) and isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key], tolerance) for key in b)
    first, second = _array(a), _array(b)
    if first is None or second is None:
        if type(a) is not type(b):
            return False
        return same(vars(a), vars(b), tolerance) if hasattr(a, "__dict__") else a == b
    if first.shape != second.shape:
        return False
    if first.dtype.kind in "US" or second.dtype.kind in "US":
        return bool(np.array_equal(first, second))
    return bool(np.allclose(first, second, rtol=tolerance, atol=tolerance, equal_nan=True))


def _array(value) -> np.ndarray | None:
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy()
    if isinstance(value, (bool, int, float, str, np.ndarray, np.generic)):
        array = np.asarray(value)
        return None if array.dtype == object else array
    return None


def counter_example(outputs: list, wanted: list, cases: list[tuple], tolerance: float) -> Verdict:
    """The case with the least to read in which the answer is another."""
    bad = [i for i, (a, b) in enumerate(zip(outputs, wanted)) if not same(a, b, tolerance)]
    i = min(bad, key=lambda place: sum(len(shown(argument)) for argument in cases[place]))
    got, want = outputs[i], wanted[i]
    if _array(want) is not None and (_array(got) is None or _array(got).dtype.kind in "US"):
        text = f"it returns a {type(got).__name__}, where {_kind(want)} is wanted"
    elif _array(got) is not None and _array(want) is not None and _array(got).shape != _array(want).shape:
        text = f"it returns the shape {_array(got).shape}, where {_array(want).shape} is wanted"
    else:
        text = f"for {', '.join(map(shown, cases[i]))} it returns {shown(got)}, where {shown(want)} is wanted"
    return Verdict(False, text, "counter-example")


def _kind(value) -> str:
    array = _array(value)
    if isinstance(value, torch.Tensor):
        return f"a tensor of the shape {tuple(array.shape)}"
    return "a number" if array.ndim == 0 else f"an array of the shape {array.shape}"


def shown(value) -> str:
    """A value in at most a line."""
    array = _array(value)
    if array is None or array.dtype.kind in "US":
        text = repr(value)
    else:
        text = np.array2string(array, precision=4, threshold=8, edgeitems=3, separator=", ").replace("\n", "")
    return text if len(text) <= 160 else f"{text[:157]}..."


def check_answer(exercise: Exercise, answer, seed: int) -> Verdict:
    """Run and judge an answer that is here, as a notebook does."""
    cases = exercise.cases(seed)
    return judge(exercise, outputs_of(answer, cases), cases, seed)
