"""What the ``rui`` command says when it cannot do what was asked.

Exit codes of every sub-command:

====  =====================================================================
0     done; what was checked holds
1     a check failed: a user lost, tables that differ, a model that breaks
2     wrong usage: an unknown option, a missing argument
3     refused to start, or cannot go on: the message says why and the remedy
130   stopped by the user (Ctrl-C)
====  =====================================================================
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of ``rui``; see the table at the top of this file."""

    OK = 0
    CHECK_FAILED = 1
    USAGE = 2
    REFUSED = 3
    INTERRUPTED = 130


class CliError(Exception):
    """An expected failure: shown on stderr as two lines, without a traceback.

    `message` says what failed and where, `remedy` what the user can do about it.
    """

    def __init__(self, message: str, *, remedy: str = "", exit_code: ExitCode = ExitCode.REFUSED) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.exit_code = exit_code

    def __str__(self) -> str:
        return f"{self.message}\n  remedy: {self.remedy}" if self.remedy else self.message
