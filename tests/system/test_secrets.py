"""A planted secret reaches the rank, and is found nowhere else that anything of ours writes or shows."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.fleet import Fleet, gang

CANARY = "c4n4ry-7f3a91d20b"
SCRIPT = """
import os, sys, time
from pathlib import Path
Path(sys.argv[1]).write_text(os.environ.get("TOKEN", "none"))
print("step 1", flush=True)
time.sleep(600)
"""


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Fleet]:
    """Make a fleet of one node that sends events into a file."""
    sinks = [{"plugin": "file", "settings": {"path": str(tmp_path / "events.jsonl")}}]
    made = Fleet(tmp_path, daemon={"sinks": sinks})
    made.start(1, 2)
    yield made
    made.close()


def holders(folder: Path) -> list[str]:
    """Name the files below a folder that hold the canary, as text or as JSON."""
    return sorted(
        str(file.relative_to(folder))
        for file in folder.rglob("*")
        if file.is_file() and CANARY.encode() in file.read_bytes()
    )


def command_lines() -> list[str]:
    return [
        text
        for file in Path("/proc").glob("[0-9]*/cmdline")
        if (text := _read(file)) and CANARY in text and "pytest" not in text
    ]


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""


def test_a_secret_is_with_its_rank_alone(here: Fleet, tmp_path: Path) -> None:
    secret, seen, script = tmp_path / "token", tmp_path / "seen", tmp_path / "script.py"
    secret.write_text(f"{CANARY}\n")
    script.write_text(SCRIPT)
    dry = here.ctl("submit", "--dry-run", "--secret", f"TOKEN={secret}", "--python", sys.executable, str(script))
    assert f"TOKEN is read from {secret}" in dry.stdout
    job = here.submit("--secret", f"TOKEN={secret}", str(script), str(seen))
    view = here.until_stepping(job)
    assert seen.read_text() == CANARY
    (rank,) = gang(view).ranks
    assert f"TOKEN={CANARY}" in Path(f"/proc/{rank.pid}/environ").read_text()

    for pid in map(int, filter(str.isdigit, (path.name for path in Path("/proc").iterdir()))):
        environment = _read(Path(f"/proc/{pid}/environ"))
        assert CANARY not in environment or _is_rank(pid, environment), pid
    assert not command_lines()
    shown = [here.ctl(*words, "-o", "json").stdout for words in (("job", "status", str(job)), ("event", "list"))]
    assert not any(CANARY in text for text in shown)

    here.client.restart(job)
    here.until_stepping(job, round_=2)
    here.client.cancel(job)
    here.until_over(job)
    assert holders(tmp_path) == ["seen", "token"]


def _is_rank(pid: int, environment: str) -> bool:
    """Tell a rank, or the spare that is to be its next life, from processes of ours."""
    return "RANK=0" in environment and "script.py" in _read(Path(f"/proc/{pid}/cmdline"))


def test_a_secret_that_is_not_there_is_why_the_job_does_not_start(here: Fleet, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    job = here.submit("--max-restarts", "0", "--secret", f"TOKEN={tmp_path}/none", str(script), str(tmp_path / "seen"))
    over = here.until_over(job)
    assert over.state == "failed"
    assert f"secret TOKEN cannot be read from {tmp_path}/none (No such file or directory)" in over.reason
    assert not (tmp_path / "seen").exists()
