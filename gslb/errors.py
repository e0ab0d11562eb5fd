"""What can go wrong, split by who must act.

`PolicyError`: the operator's input; `WireError`: a DNS peer's packet; `HostError`: the machine, its files, its store.
Broken invariants are assertions, not errors. Nothing here prints or logs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["GslbError", "HostError", "PolicyError", "Problem", "RefusedError", "WireError"]


class GslbError(Exception):
    """The root of every error that gslb raises on purpose."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong with what an operator wrote, and what to write instead.

    `line` and `column` count from 1; both are 0 where the problem is of the file or folder as a whole.
    `rule` is a stable id such as `split-sum`, for searching and for silencing in reviews.
    """

    file: str
    line: int
    column: int
    rule: str
    message: str
    remedy: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        note = "" if self.severity == "error" else "warning: "
        return f"{where}: {note}[{self.rule}] {self.message}\n    {self.remedy}"


class PolicyError(GslbError):
    """The policy or the request is wrong: every problem that was found, in file order. Exit code 1."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: Sequence[Problem] = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class RefusedError(GslbError):
    """A change that is well formed but must not happen (a guard rail, a stale base). Exit code 1.

    `rule` names what refused, so that `--allow RULE` can name it back.
    """

    def __init__(self, rule: str, message: str, remedy: str) -> None:
        self.rule, self.message, self.remedy = rule, message, remedy
        super().__init__(f"[{rule}] {message}\n    {remedy}")


class WireError(GslbError):
    """A DNS packet that cannot be understood: the only error the packet parser may raise. `rcode` goes back."""

    def __init__(self, rcode: int, message: str) -> None:
        self.rcode = rcode
        super().__init__(message)


class HostError(GslbError):
    """The machine is in the way: an address in use, a missing binary, a folder that cannot be written. Exit code 2.

    `remedy` says what to do about it.
    """

    def __init__(self, message: str, remedy: str) -> None:
        self.message, self.remedy = message, remedy
        super().__init__(f"{message}\n    {remedy}")
