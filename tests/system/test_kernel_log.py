"""The kernel's log through journalctl: a journal that a real journald wrote, and ones that cannot be read.

recordings/journal/kernel.journal.xz is of a host on a kernel of its own (v2run), after three lines and one that is not
Unicode were written to its /dev/kmsg.
"""

import asyncio
import lzma
import os
import shutil
from contextlib import aclosing
from pathlib import Path

import pytest
from dlroverd_agent.signals.journal import Journal, JournalError, Line
from dlroverd_agent.signals.watch import SignalWatch

from dlroverd.model.signal import Signal
from dlroverd.plugin_api import DeviceEvent, DeviceReading
from tests.system.fleet import until

RECORDED = Path(__file__).parents[1] / "recordings/journal/kernel.journal.xz"
BOOT = "f4cde33c8c4e441a87f91a1ee92657fe"
XID = "NVRM: Xid (PCI:0000:41:00): 79, pid=1122, GPU has fallen off the bus."

pytestmark = pytest.mark.skipif(shutil.which("journalctl") is None, reason="needs journalctl")


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    file = tmp_path / "kernel.journal"
    file.write_bytes(lzma.decompress(RECORDED.read_bytes()))
    return file


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put another program in the place of journalctl; it finds the real one as $REAL."""
    program = folder / "bin" / "journalctl"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nREAL={shutil.which('journalctl')}\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)


async def lines_until(journal: Journal, text: str, cursor: str = "") -> list[Line]:
    found: list[Line] = []
    async with asyncio.timeout(30.0), aclosing(journal.follow(cursor)) as lines:
        async for line in lines:
            found.append(line)
            if line.text.startswith(text):
                return found
    raise AssertionError("unreachable")


def test_lines_are_read_from_the_boots_first_and_then_from_where_one_was(journal: Path) -> None:
    async def run() -> None:
        reader = Journal([f"--file={journal}"], BOOT)
        await reader.check()
        found = await lines_until(reader, "igb 0000:01:00.0 eth0")
        (xid,) = [line for line in found if line.text == XID]
        assert xid.at == 1795914508.815823
        assert found[-1].text.endswith("Link is Down \N{REPLACEMENT CHARACTER}")
        again = await lines_until(reader, "igb 0000:01:00.0 eth0", xid.cursor)
        assert [line.text.split(" ")[0] for line in again] == ["EXT4-fs", "loop0:", "igb"]

    asyncio.run(run())


@pytest.mark.parametrize("option", ["--directory=/nonexistent", "--file=/dev/null", "--directory={}"])
def test_a_journal_that_cannot_be_read_is_a_sentence(option: str, tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"^the kernel's log cannot be read \(.+\): have journald keep it, and the "):
        asyncio.run(Journal([option.format(tmp_path)], BOOT).check())


def test_a_host_without_journalctl_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(JournalError, match="journalctl cannot be run"):
        asyncio.run(Journal().check())


def test_a_journal_that_hangs_is_left_alone_after_its_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "exec sleep 1000")
    with pytest.raises(JournalError, match=r"has not answered within 0\.2 s"):
        asyncio.run(Journal(answer_s=0.2).check())


def test_what_follows_no_more_is_found_out(journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, 'case "$*" in *--follow*) exec sleep 1000;; *) exec $REAL "$@";; esac')
    reader = Journal([f"--file={journal}"], BOOT, answer_s=5.0, look_s=0.1)
    with pytest.raises(JournalError, match="does not follow the kernel's log any more"):
        asyncio.run(lines_until(reader, XID))


class Daemon:
    """Gets what an agent tells."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[tuple[Signal, ...]] = asyncio.Queue()

    async def until(self, count: int) -> tuple[Signal, ...]:
        async with asyncio.timeout(30.0):
            while len(told := await self.told.get()) < count:
                pass
        return told


def watch(folder: Path, journal: Journal, daemon: Daemon) -> SignalWatch:
    at = {"0000:41:00": "GPU-0"}
    return SignalWatch(folder, journal, lambda pci: at.get(pci, ""), daemon.told.put_nowait, retry_s=0.1)


def test_signals_are_told_again_after_a_restart_and_none_twice(journal: Path, tmp_path: Path) -> None:
    async def life() -> tuple[Signal, ...]:
        daemon = Daemon()
        watching = watch(tmp_path, Journal([f"--file={journal}"], BOOT), daemon)
        await watching.recover()
        running = asyncio.create_task(watching.run())
        told = await daemon.until(3)
        await watching.save()
        running.cancel()
        await asyncio.wait({running})
        return told

    async def run() -> None:
        first, second = await life(), await life()
        assert [(each.name, each.device, each.part, each.pid) for each in first] == [
            ("xid.79", "GPU-0", "", 1122),
            ("fs.error", "", "nvme0n1", 0),
            ("link.down", "", "eth0", 0),
        ]
        assert second == first

    asyncio.run(run())


def test_a_journal_that_cannot_be_read_stops_nothing_else(tmp_path: Path) -> None:
    async def run() -> None:
        daemon = Daemon()
        watching = watch(tmp_path, Journal(["--directory=/nonexistent"], BOOT), daemon)
        await watching.recover()
        running = asyncio.create_task(watching.run())
        xid = DeviceEvent(name="xid.79", detail="the driver tells of XID 79")
        reading = DeviceReading(
            uuid="GPU-0",
            model="m",
            memory_bytes=1,
            events=(xid,),
            faults={"hot": "95 degrees"},
            counters={"ecc_uncorrected": float("nan"), "pcie_replays": 7.0},
        )
        watching.devices((reading,))
        assert [each.name for each in await daemon.until(2)] == ["xid.79", "gpu.hot"]
        await asyncio.to_thread(until, lambda: watching.problem, bool)
        assert watching.problem.startswith("the kernel's log cannot be read (")
        assert not running.done()
        running.cancel()
        await asyncio.wait({running})

    asyncio.run(run())
