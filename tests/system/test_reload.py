"""A real daemon reads its configuration again at HUP: a broken one is refused in a sentence, and nothing stops."""

import asyncio
import json
import signal
from pathlib import Path

import pytest

from dlroverd.protocol.errors import CallError
from tests.system.daemon_process import DaemonProcess, spec
from tests.system.test_daemon import run, serving
from tests.system.test_plugin_isolation import eventually


async def reloaded(daemon: DaemonProcess, file: Path, content: dict[str, object], told: str) -> None:
    assert daemon.process is not None
    await asyncio.to_thread(file.write_text, json.dumps(content))
    daemon.process.send_signal(signal.SIGHUP)
    await eventually(lambda: told in daemon.said())


def test_a_configuration_is_read_again(tmp_path: Path) -> None:
    async def test() -> None:
        file = tmp_path / "daemon.yaml"
        await asyncio.to_thread(file.write_text, "{}")
        async with serving(tmp_path / "daemon", "--config", str(file)) as daemon:
            await reloaded(daemon, file, {"limmits": {}}, "the one before stays in force: ")
            assert "limmits: unknown key; did you mean limits?" in daemon.said()
            with daemon.client() as client:
                assert client.submit(spec()) == 1
            await reloaded(daemon, file, {"limits": {"max_jobs": 1}}, "the configuration was read again")
            with daemon.client() as client, pytest.raises(CallError, match="max_jobs is 1"):
                client.submit(spec())

    run(test())
