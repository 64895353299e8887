"""The one error type a user of the workbook sees for bad input.

`FiqaError` carries a sentence that names the file or parameter at fault and a remedy. The command
line and the notebook runner print it without a traceback. Errors of the operating system take the same
form; everything else is a bug and keeps its traceback.
"""
import errno
import os
from pathlib import Path
from traceback import walk_tb


class FiqaError(Exception):
    """Bad input: `problem` names the file or parameter, `remedy` says what to do about it."""

    def __init__(self, problem: str, remedy: str):
        super().__init__(f"{problem}\n  remedy: {remedy}")
        self.problem = problem
        self.remedy = remedy


ROOM, PERMISSIONS = "make room, or name another place", "change the permissions, or name another place"
REMEDIES = {errno.ENOSPC: ROOM, errno.EDQUOT: ROOM, errno.EFBIG: ROOM, errno.EACCES: PERMISSIONS,
            errno.EPERM: PERMISSIONS, errno.EROFS: "name another place",
            errno.ENOENT: "check the path", errno.EISDIR: "name a file, not a folder",
            errno.ENOTDIR: "check the path: a file stands where a folder is wanted",
            errno.ENAMETOOLONG: "give a shorter name", errno.ELOOP: "check the links on this path",
            errno.EMFILE: "allow more open files: ulimit -n", errno.EIO: "check the disk"}


def system_error(error: OSError | UnicodeError) -> FiqaError:
    """What the operating system refuses, or a text that is none, as one line with a remedy."""
    if isinstance(error, UnicodeDecodeError):
        where = f"{error.reason} at byte {error.start:,}"
        return FiqaError(f"{_opened(error) or 'a file'} is not UTF-8 text: {where}",
                         "save it as UTF-8, or name another file")
    path = getattr(error, "filename", None)
    path, reason = _opened(error) if path is None else path, getattr(error, "strerror", None) or str(error)
    return FiqaError(f"{os.fsdecode(path)}: {reason}" if path else reason,
                     REMEDIES.get(getattr(error, "errno", None), "check this place and the room left on it"))


def _opened(error: Exception) -> Path | None:
    """The file that the functions which the error passed through were working on, innermost first."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    values = (value for frame in reversed(frames) for value in frame.f_locals.values())
    return next((value for value in values if isinstance(value, Path)), None)
