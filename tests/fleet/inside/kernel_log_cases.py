"""Run on a kernel of its own by test_kernel_log.py: what is written to its log comes out as a signal."""

import asyncio
from pathlib import Path

from dlroverd_agent.signals.journal import Journal
from dlroverd_agent.signals.watch import SignalWatch

from dlroverd.model.signal import Signal

XID = "NVRM: Xid (PCI:0000:41:00): 79, pid=1122, GPU has fallen off the bus."


def test_a_line_of_the_kernels_log_is_a_signal_while_it_is_followed(tmp_path: Path) -> None:
    async def run() -> None:
        told: asyncio.Queue[tuple[Signal, ...]] = asyncio.Queue()
        watching = SignalWatch(tmp_path, Journal(), {"0000:41:00": "GPU-0"}.__getitem__, told.put_nowait)
        await watching.recover()
        running = asyncio.create_task(watching.run())
        for line in ("EXT4-fs (sda1): Remounting filesystem read-only", XID):
            await asyncio.to_thread(Path("/dev/kmsg").write_text, f"<3>{line}\n", encoding="ascii")
            async with asyncio.timeout(60.0):
                *_, newest = await told.get()
            assert newest.detail == line
        assert (newest.name, newest.device, newest.pid) == ("xid.79", "GPU-0", 1122)
        running.cancel()
        await asyncio.wait({running})

    asyncio.run(run())
