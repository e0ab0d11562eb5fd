"""A tiny HTTP backend in a process of its own, which tests may freeze and kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

_PROGRAM = Path(__file__).with_name("backend_main.py")


class Backend:
    """Answers every request with JSON: its name, and the request as it saw it. `GET /~seen` lists what it saw."""

    def __init__(self, name: str, address: str, port: int = 0, program: Path = _PROGRAM, **options: str) -> None:
        flags = [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
        self._child = subprocess.Popen(
            [sys.executable, str(program), name, address, str(port), *flags], stdout=subprocess.PIPE, text=True
        )
        assert self._child.stdout is not None
        self.address, self.port = address, int(json.loads(self._child.stdout.readline())["port"])

    @property
    def endpoint(self) -> str:
        return f"{self.address}:{self.port}"

    def freeze(self) -> None:
        os.kill(self._child.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self._child.pid, signal.SIGCONT)

    def kill(self) -> None:
        self._child.kill()
        self._child.wait()
        if self._child.stdout is not None:
            self._child.stdout.close()
