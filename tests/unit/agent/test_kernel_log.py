"""What is read of the kernel's journal, and what is said when it cannot be."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from dlroverd_agent.kernel_log import kernel_log, parsed

from dlroverd.model.kernel_log import KernelLog, KernelWindow

WINDOW = KernelWindow(since=1795912660.4, until=1795912695.6)
# The form of systemd's journal-export as JSON (journalctl(1)).
SEGFAULT = {
    "_TRANSPORT": "kernel",
    "PRIORITY": "6",
    "__REALTIME_TIMESTAMP": "1795912677385894",
    "MESSAGE": "python[2291]: segfault at 0 ip 00007f3d0e5e1a2c sp 00007ffd5d0 error 4 in libc.so.6",
}
BYTES = {**SEGFAULT, "PRIORITY": "3", "MESSAGE": list(b"NVRM: Xid \xff79")}


def journal(root: Path) -> Path:
    """Make what looks like a host's journal."""
    folder = root / "run/log/journal/4f2a"
    folder.mkdir(parents=True)
    (folder / "system.journal").touch()
    return root


def read(node: str, window: KernelWindow, **how: Any) -> KernelLog:
    return asyncio.run(kernel_log(node, window, **how))


def program(folder: Path, script: str) -> str:
    file = folder / "journalctl"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return str(file)


def test_entries_are_read_and_what_is_none_is_left_out() -> None:
    odd = ['{"MESSAGE": "no time"}', "no JSON", "[]", '{"__REALTIME_TIMESTAMP": "1", "MESSAGE": null, "PRIORITY": "x"}']
    text = "\n".join([json.dumps(SEGFAULT), *odd, json.dumps(BYTES)])
    segfault, bytes_ = parsed(text)
    assert (segfault.at, segfault.priority) == (1795912677.385894, 6)
    assert segfault.text.startswith("python[2291]: segfault at 0")
    assert (bytes_.priority, bytes_.text) == (3, "NVRM: Xid �79")


def test_a_window_is_read_whole_and_the_newest_of_many_are_kept(tmp_path: Path) -> None:
    entries = "".join(json.dumps({**SEGFAULT, "MESSAGE": f"line {at}"}) + "\n" for at in range(201))
    (tmp_path / "said").write_text(entries)
    reads = program(tmp_path, f'echo "$@" > {tmp_path}/asked; cat {tmp_path}/said')
    log = read("n2", WINDOW, root=journal(tmp_path), program=reads)
    assert (log.node, log.window, log.cut, log.problem) == ("n2", WINDOW, True, "")
    assert [log.lines[0].text, log.lines[-1].text, len(log.lines)] == ["line 1", "line 200", 200]
    asked = (tmp_path / "asked").read_text().split()
    assert {"_TRANSPORT=kernel", "--since=@1795912660", "--until=@1795912696"} <= set(asked)


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("sleep 60", "node n2 could not read its journal within 0.2 s: see whether its disk hangs"),
        (
            "echo one >&2; echo 'Input/output error' >&2; exit 1",
            "node n2 could not read its journal: Input/output error",
        ),
    ],
)
def test_a_journal_that_hangs_or_fails_is_said(tmp_path: Path, script: str, problem: str) -> None:
    fails = program(tmp_path, script)
    log = read("n2", WINDOW, root=journal(tmp_path), program=fails, deadline_s=0.2 if "sleep" in script else 20)
    assert (log.problem, log.lines) == (problem, ())


def test_a_host_without_journal_or_journalctl_says_so(tmp_path: Path) -> None:
    assert "keeps no journal" in (read("n2", WINDOW, root=tmp_path)).problem
    absent = read("n2", WINDOW, root=journal(tmp_path), program="no-such-journalctl")
    assert absent.problem.startswith("node n2 has no no-such-journalctl to read its kernel's lines with (No such file")
