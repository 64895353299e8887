"""Processes that a test starts: none outlives it, whatever stops it."""
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HOLDER = """
import sys
from pathlib import Path
from fiqa_core.base.files import holding
with holding(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def held(target: Path) -> Iterator[subprocess.Popen]:
    """Another process that holds `target` until it is sent a line, or killed."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(target)], text=True, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def finished(command, **options) -> subprocess.CompletedProcess:
    """What `subprocess.run` returns of `command`, its output captured as text.

    Where the test is stopped meanwhile, above all by its time limit, the command and all that it started are
    ended, and what was running and the last lines it wrote are printed.
    """
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **options}
    process = subprocess.Popen(command, text=True, start_new_session=True, **options)
    try:
        output, errors = process.communicate()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        output, errors = process.communicate()
        print(f"ended while it ran: {command}\n{(output or '')[-6000:]}\n{(errors or '')[-6000:]}")
        raise
    return subprocess.CompletedProcess(command, process.returncode, output, errors)
