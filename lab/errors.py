"""Every error the lab raises on purpose, and the exit code of each.

    LabError              1   the work failed
    ├── UsageError        2   a value, a key or a combination that cannot be
    │   ├── ProfileError      ... in a profile or in --set
    │   └── DataError         ... in the rows of a data source
    ├── NotFoundError     3   no such run, profile, file, model or data set
    ├── RunStateError     1   the run's state does not allow this (still running, not resumable, locked)
    ├── OutOfSpaceError   1   the disk is full or the folder is not writable
    └── TrainingError     1   training or evaluation could not go on (NaN loss, out of memory, nothing supervised)

Each message is two sentences: what is wrong with which value, and which key or command mends it.
"""

from __future__ import annotations


class LabError(Exception):
    """The root of the tree.

    Args:
        problem: one sentence that names the value at fault.
        remedy: one sentence that names the key or command that mends it.
    """

    exit_code = 1

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}"


class UsageError(LabError):
    exit_code = 2


class ProfileError(UsageError):
    pass


class DataError(UsageError):
    pass


class NotFoundError(LabError):
    exit_code = 3


class RunStateError(LabError):
    pass


class OutOfSpaceError(LabError):
    pass


class TrainingError(LabError):
    pass
