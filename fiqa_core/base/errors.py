"""The one error type a user of the workbook sees for bad input.

`FiqaError` carries a sentence that names the file or parameter at fault and a remedy. The command
line and the notebook runner print it without a traceback; everything else is a bug and keeps one.
"""


class FiqaError(Exception):
    """Bad input: `problem` names the file or parameter, `remedy` says what to do about it."""

    def __init__(self, problem: str, remedy: str):
        super().__init__(f"{problem}\n  remedy: {remedy}")
        self.problem = problem
        self.remedy = remedy
