"""Processes that a test starts: none outlives it, whatever stops it."""
import os
import signal
import subprocess


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
