"""A git repository with a policy in it, made by the plain program and by nobody's own settings."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path


class Repository:
    def __init__(self, path: Path, folder: str = "policies") -> None:
        self.path = path
        self.folder = path / folder
        self.folder.mkdir(parents=True)
        self.settings: list[str] = []
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("GIT_")},
            "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "Ann Onym", "GIT_AUTHOR_EMAIL": "ann@example.com",
            "GIT_COMMITTER_NAME": "Ann Onym", "GIT_COMMITTER_EMAIL": "ann@example.com",
        }  # fmt: skip
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        command = ["git", *self.settings, "-C", str(self.path), *arguments]
        done = subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def commit(self, policy: object, message: str = "a change", *more: str) -> str:
        """Commits `policy` (JSON is YAML; a text as it is); the id."""
        text = policy if isinstance(policy, str) else json.dumps(policy, indent=1)
        (self.folder / "policy.yaml").write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message, *more)
        return self.git("rev-parse", "HEAD")
