"""What the process launcher makes of the files it finds, without any process."""

import asyncio
import os
from pathlib import Path

import pytest
from dlroverd_agent.launchers.files import Record, boot_id, key_of
from dlroverd_agent.launchers.process import ProcessLauncher

from dlroverd.model.ids import RankKey
from dlroverd.model.job import RankState


def test_what_a_crash_left_on_disk_is_told(tmp_path: Path) -> None:
    """A crash between the mark and the shim, before the shim read its order, a damaged record, and a reboot."""
    keys = {
        name: RankKey(1, "trainer-x", 0, 1, rank)
        for rank, name in enumerate(("bare", "ordered", "torn", "boot", "kept"))
    }
    running = Record(state=RankState.RUNNING, boot_id="another boot", pid=os.getpid(), started_at=1.0)

    async def run() -> None:
        launcher = ProcessLauncher(tmp_path, lambda _: None)
        try:
            files = {name: launcher.files(key) for name, key in keys.items()}
            for each in files.values():
                each.directory.mkdir(parents=True)
            Record(state=RankState.STARTING, boot_id=boot_id()).write(files["ordered"].record)
            files["ordered"].order.write_text("{}")
            files["torn"].record.write_bytes(b"")
            running.write(files["boot"].record)
            Record(state=RankState.EXITED, boot_id="another boot", exited_at=2.0, code=4).write(files["kept"].record)
            found = {told.key: told for told in await launcher.recover()}
            assert {told.state for told in found.values()} == {RankState.GONE}
            exits = {name: found[key].exit or pytest.fail(name) for name, key in keys.items()}
            assert exits["bare"].launch_error == "the agent died while starting it"
            assert exits["ordered"].launch_error == "the agent died while starting it"
            assert exits["torn"].lost.startswith("its record is damaged")
            assert exits["boot"].lost == "the host was rebooted"
            assert (exits["kept"].code, exits["kept"].lost) == (4, "")
        finally:
            await launcher.close()

    asyncio.run(run())


@pytest.mark.parametrize("role", ["trainer", "a-b", "x-3-r1-rank2", "ps_1"])
def test_a_unit_names_one_key(role: str) -> None:
    key = RankKey(12, role, 3, 45, 678)
    assert key_of(key.unit) == key
    assert key_of(f"{key.unit}x") is None
