"""The copies of a large world begin behind it, one after the other; those of a small one begin at once."""

import asyncio
from pathlib import Path

from dlroverd.core.state import State
from dlroverd.model.ids import GangKey
from dlroverd.model.world import Assignment
from dlroverd.runtime.held_output import HeldOutput
from dlroverd.runtime.inbox import Inbox
from dlroverd.runtime.output_copy import NODES_PER_S, OutputCopy
from dlroverd.runtime.output_streams import OutputStreams
from dlroverd.runtime.sessions import Sessions


def copies() -> list[str]:
    """Name what is being copied, or waits for its node."""
    return sorted(name for task in asyncio.all_tasks() if (name := task.get_name()).startswith("copy of "))


async def settle() -> None:
    """Let all that waits for nothing but its turn of the loop go on."""
    for _ in range(5 * NODES_PER_S):
        await asyncio.sleep(0)


def run_on(copy: OutputCopy, job: int, nodes: int) -> None:
    for number in range(nodes):
        part = Assignment(
            round=GangKey(job, "trainer", 0).at(1),
            world_size=nodes,
            group_rank=number,
            group_world_size=nodes,
            first_rank=number,
            nproc=1,
            master_addr="n0",
            master_port=1,
            restart_count=0,
        )
        for _ in range(2):  # it is told again whenever anything about the node changes
            copy.run_on(f"n{number}", (part,))


def test_a_small_world_is_copied_at_once_and_a_large_one_when_there_is_little_to_do(tmp_path: Path) -> None:
    async def scene() -> None:
        sessions = Sessions(State("log"), Inbox(), 5.0)
        copy = OutputCopy(sessions, OutputStreams(), HeldOutput(tmp_path, 1 << 20))
        copy.busy()
        run_on(copy, 1, 2)
        await settle()
        assert copies() == ["copy of 1/trainer/0@1 on n0", "copy of 1/trainer/0@1 on n1"]
        run_on(copy, 2, 2 * NODES_PER_S)
        await settle()
        assert len(copies()) == 2
        copy.forget(1)
        copy.forget(2)
        await settle()
        assert copies() == []
        await copy.close()

    asyncio.run(asyncio.wait_for(scene(), 30))
