"""Nodes out of use, over the real socket: what is held survives the daemon, and what makes no sense is refused."""

import asyncio
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dlroverd.client import Client
from dlroverd.model.hold import DrainMode, HoldKind
from dlroverd.model.node import Device
from dlroverd.protocol.errors import CallError, Reason
from tests.system.daemon_process import spec, until
from tests.system.fleet import dlroverctl
from tests.system.scripted_agent import ScriptedAgent
from tests.system.test_daemon import connected, idle, run, serving


def refused(client: Client, nodes: tuple[str, ...] = ("n1",), **given: Any) -> tuple[Reason, str]:
    """Give why the daemon does not hold nodes in this way."""
    wanted: dict[str, Any] = {"kind": HoldKind.CORDON, "reason": "fans", "owner": "ann", **given}
    with pytest.raises(CallError) as caught:
        client.hold(nodes, wanted.pop("kind"), **wanted)
    return caught.value.reason, caught.value.sentence


def test_holds_and_a_pause_survive_the_daemon(tmp_path: Path) -> None:
    async def test() -> None:
        agent = ScriptedAgent("n1", 2, idle)
        async with serving(tmp_path) as daemon, connected(agent, daemon.address):
            with daemon.client() as client:
                request = client.hold(
                    ["n1"],
                    HoldKind.DRAIN,
                    reason="fans",
                    owner="ann",
                    mode=DrainMode.AT_CHECKPOINT,
                    deadline_s=3600.0,
                )
                client.pause_automation("the power is being worked on")
                before = client.nodes()[0].holds
            await daemon.stop(signal.SIGKILL)
            await daemon.start()
            with daemon.client() as client:
                (node,) = client.nodes()
                assert node.holds == before
                ((hold,), free) = (node.holds, node.free)
                assert (hold.owner, hold.kind, hold.mode, hold.request) == ("ann", "drain", "at_checkpoint", request)
                assert hold.deadline - hold.since == pytest.approx(3600.0)
                assert free == 0
                automation = client.automation()
                assert automation.paused_by
                assert automation.reason == "the power is being worked on"
                client.resume_automation()
                assert client.automation().paused_by == ""

    run(test())


def test_what_makes_no_sense_is_refused_in_a_sentence(tmp_path: Path) -> None:
    async def test() -> None:
        agent = ScriptedAgent("n1", 2, idle)
        async with serving(tmp_path) as daemon, connected(agent, daemon.address):
            with daemon.client() as client:
                assert refused(client, ("n1", "n9")) == (
                    Reason.NOT_FOUND,
                    "There is no node n9; see `dlroverctl node list`.",
                )
                assert refused(client, ()) == (Reason.INVALID, "The nodes cannot be held: it names no node.")
                assert "needs a reason" in refused(client, reason="  ")[1]
                assert "use maintenance" in refused(client, reboot=True)[1]
                assert "deadline" in refused(client, deadline_s=-1.0)[1]
                assert "moves no job; use drain" in refused(client, mode=DrainMode.NOW)[1]
                assert "moves no job; use drain" in refused(client, deadline_s=5.0)[1]
                assert "automation's own" in refused(client, owner="dlroverd")[1]
                assert not client.nodes()[0].holds
                with pytest.raises(CallError, match="holds none of these nodes"):
                    client.release(["n1"], owner="ann")
                with pytest.raises(CallError, match="There is no node n9"):
                    client.node("n9")

    run(test())


def test_a_node_that_only_the_topology_names_is_listed_and_not_held(tmp_path: Path) -> None:
    async def test() -> None:
        topology, config = tmp_path / "topology.yaml", tmp_path / "config.yaml"
        topology.write_text("nodes: {'n[1-2]': {rack: r1}}")
        config.write_text(f"topology: {topology}")
        agent = ScriptedAgent("n1", 1, idle)
        async with serving(tmp_path, "--config", str(config)) as daemon, connected(agent, daemon.address):
            with daemon.client() as client:
                assert [(each.id, each.state) for each in client.nodes()] == [("n1", "ready")]
                assert refused(client, ("n2",))[0] is Reason.NOT_FOUND
            said = await asyncio.to_thread(dlroverctl, "node", "list", "--address", daemon.address)
            (row,) = [line for line in said.stdout.splitlines() if line.startswith("n2")]
            assert row.split()[1] == "absent"
            assert "no agent of that name has said hello" in row

    run(test())


def test_everything_that_is_known_of_a_node_is_shown(tmp_path: Path) -> None:
    async def test() -> None:
        agent = ScriptedAgent("n1", 1, idle)
        agent.facts = replace(agent.facts, devices=(Device(uuid="GPU-1", model="H100", memory_bytes=1, serial="0042"),))
        async with serving(tmp_path) as daemon, connected(agent, daemon.address):
            with daemon.client() as client:
                job = await asyncio.to_thread(client.submit, spec(ranks=1))
                await until(client, job, lambda view: view.state == "running")
                client.hold(["n1"], HoldKind.QUARANTINE, reason="it smells", owner="ann")
                detail = client.node("n1")
                assert detail.why.startswith("node n1 takes no new jobs: quarantine by ann: it smells")
                assert [(each.uuid, each.state, each.job) for each in detail.devices] == [("GPU-1", "ok", job)]
                address = daemon.address
                said = await asyncio.to_thread(dlroverctl, "node", "show", "n1", "--address", address)
                assert (said.returncode, said.stderr) == (0, "")
                for text in ("it smells", "GPU-1", "0042", f"job {job}", "H100"):
                    assert text in said.stdout
                why = await asyncio.to_thread(dlroverctl, "node", "why", "n1", "--address", address)
                assert why.stdout == f"N{detail.why[1:]}.\n"
                status = await asyncio.to_thread(dlroverctl, "automation", "status", "--address", address)
                assert "It quarantines nodes that it finds bad." in status.stdout

    run(test())
