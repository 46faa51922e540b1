"""What an examination finds, and the host that it looks at: files are read below one folder, so tests have others."""

import subprocess
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dlroverd.config.agent import AgentConfig
from dlroverd.config.daemon import DaemonConfig
from dlroverd.config.login import LoginConfig

_COMMAND_S = 60.0


class Verdict(StrEnum):
    """How an examination ended."""

    PASS = "pass"  # noqa: S105 - nobody passes a word here
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one examination found, in one sentence; of one that failed, `fix` says what to do."""

    check: str
    verdict: Verdict
    found: str
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The host, and what it is configured to be: a daemon's, an agent's, a login host, or none of these."""

    root: Path = Path("/")
    daemon: DaemonConfig | None = None
    agent: AgentConfig | None = None
    login: LoginConfig | None = None
    python: str = ""

    def read(self, path: str) -> str:
        """Give what a file holds, stripped; "" if there is none that can be read."""
        try:
            return (self.root / path.lstrip("/")).read_text(errors="replace").strip()
        except OSError:
            return ""


def ok(check: str, found: str) -> Finding:
    """Find nothing wrong."""
    return Finding(check=check, verdict=Verdict.PASS, found=found)


def bad(check: str, found: str, fix: str) -> Finding:
    """Find what has to be put right."""
    return Finding(check=check, verdict=Verdict.FAIL, found=found, fix=fix)


def skipped(check: str, found: str) -> Finding:
    """Say why there was nothing to examine."""
    return Finding(check=check, verdict=Verdict.SKIP, found=found)


def said(*words: str) -> tuple[int, str]:
    """Run a program; gives its exit code and what it wrote, (-1, why) if it could not be run or did not end."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=_COMMAND_S, check=False)
    except OSError as error:
        return -1, f"{words[0]}: {error.strerror}"
    except subprocess.TimeoutExpired:
        return -1, f"{words[0]} did not end within {_COMMAND_S:g} s"
    return done.returncode, (done.stdout or done.stderr).strip()
