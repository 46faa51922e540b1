"""The last release's daemon and agent (protocol 1) beside today's: both ways, and an upgrade in place.

What speaks only what is older is refused with a sentence: here by a real daemon; that an agent refuses such a
daemon is in test_agent.py.
"""

import asyncio
import os
import signal
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc.aio
import pytest

from dlroverd import __version__
from dlroverd.model.node import NodeFacts
from dlroverd.model.world import Held, Observed
from dlroverd.protocol.channel import connect
from dlroverd.protocol.errors import Reason, from_rpc
from dlroverd.protocol.messages import AGENT_MESSAGE, Hello
from dlroverd.protocol.v1.agent_service_pb2_grpc import AgentServiceStub
from dlroverd.protocol.version import OLDEST_SUPPORTED, PROTOCOL_VERSION
from tests.system.fleet import ROOT, SCRIPTS, Fleet, gang, pids, until
from tests.system.test_survival import logged_whole

WHEELS = ROOT / "tests/fleet/previous"
ALLREDUCE = str(SCRIPTS / "allreduce.py")
Fleets = Callable[..., Fleet]


@pytest.fixture
def previous(tmp_path: Path) -> Path:
    """Give a folder with the packages of the last release, which call themselves so: a test sees what it runs."""
    folder = tmp_path / "previous"
    for wheel in WHEELS.glob("*.whl"):
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(folder)
    for package in ("dlroverd", "dlroverd_agent"):
        (folder / package / "__init__.py").write_text('__version__ = "previous"\n')
    return folder


@pytest.fixture
def mixed(tmp_path: Path) -> Iterator[Fleets]:
    """Make a fleet of one node whose sides run other code than this."""
    made: list[Fleet] = []

    def make(daemon_code: Path = ROOT, agent_code: Path = ROOT) -> Fleet:
        made.append(Fleet(tmp_path, daemon_code=daemon_code, agent_code=agent_code))
        made[0].start(1, 4)
        return made[0]

    yield make
    for one in made:
        one.close()


def versions(here: Fleet) -> tuple[str, str]:
    """Give the versions of the daemon and of the agent that run."""
    return here.client.info().version, here.client.nodes()[0].agent_version


def loses_a_rank_and_finishes(here: Fleet) -> None:
    job = here.submit("--nproc-per-node", "2", ALLREDUCE, "60")
    os.kill(pids(here.until_stepping(job))[1], signal.SIGKILL)
    over = here.until_over(job)
    assert (over.state, over.restarts, gang(over).round) == ("succeeded", 1, 2)
    cause = here.json("why", str(job))["cause"]
    assert (cause["kind"], cause["rank"]["rank"], cause["exit"]["signal"]) == ("signal", 1, 9)
    logged_whole(here, job, 60, first=1001)  # it was restarted once


def test_todays_release_is_not_the_one_that_is_kept(previous: Path) -> None:
    kept = (previous / "dlroverd/protocol/version.py").read_text()
    assert f"PROTOCOL_VERSION = {PROTOCOL_VERSION - 1}\n" in kept
    assert OLDEST_SUPPORTED == PROTOCOL_VERSION - 1


def test_the_last_release_s_daemon_works_with_today_s_agent(mixed: Fleets, previous: Path) -> None:
    here = mixed(daemon_code=previous)
    assert versions(here) == ("previous", __version__)
    loses_a_rank_and_finishes(here)
    # It takes no events, and the next one gets those of before.
    assert (here.root / "n1.log").read_text().count("takes no events: they are kept for a newer one") == 1
    here.daemon.stop()
    here.daemon.code = ROOT
    here.daemon.start()
    until(lambda: {view.name for view in here.client.events(node="n1")}, {"agent.start"}.__le__)


def test_the_last_release_s_agent_works_with_today_s_daemon(mixed: Fleets, previous: Path) -> None:
    here = mixed(agent_code=previous)
    assert versions(here) == (__version__, "previous")
    loses_a_rank_and_finishes(here)


def test_upgrade_in_place_while_a_job_runs(mixed: Fleets, previous: Path) -> None:
    """First the daemon, which reads the last release's log; then the agent, which finds its ranks. No step is lost."""
    here = mixed(daemon_code=previous, agent_code=previous)
    assert versions(here) == ("previous", "previous")
    earlier = here.submit("--nproc-per-node", "1", str(SCRIPTS / "steps.py"), "--steps", "3")
    here.until_over(earlier)
    job = here.submit("--nproc-per-node", "2", ALLREDUCE, "400")
    before = pids(here.until_stepping(job))
    events = [(event.position, event.index, event.name) for event in here.client.events()]

    here.daemon.stop()
    here.daemon.code = ROOT
    here.daemon.start()
    assert versions(here) == (__version__, "previous")
    assert pids(here.client.job(job)) == before
    assert [(event.position, event.index, event.name) for event in here.client.events()][: len(events)] == events
    assert here.client.job(earlier).state == "succeeded"

    here.agents["n1"].stop()
    here.agents["n1"].code = ROOT
    here.agents["n1"].start()
    here.until_nodes(lambda views: [view.agent_version for view in views] == [__version__])
    assert pids(here.client.job(job)) == before

    over = here.until_over(job)
    assert (over.state, over.restarts, gang(over).round) == ("succeeded", 0, 1)
    logged_whole(here, job, 400)


def test_an_agent_that_speaks_only_older_is_refused_with_a_sentence(mixed: Fleets) -> None:
    here = mixed()

    async def hello() -> grpc.aio.AioRpcError:
        older = Hello(
            node="n9",
            protocol_version=OLDEST_SUPPORTED - 1,
            facts=NodeFacts(hostname="n9", address="127.0.0.1", cpus=1, memory_bytes=1, slots=1),
            boot_id="b",
            log_id="",
            position=0,
            observed=Observed(version=0, position=0),
            held=Held(),
        )
        async with connect(here.address) as wire:
            call = AgentServiceStub(wire).Session()
            await call.write(AGENT_MESSAGE.wrap(older))
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call.read()
            return caught.value

    refused = from_rpc(asyncio.run(hello()), here.address)
    assert refused.reason is Reason.WRONG_VERSION
    assert refused.sentence == "dlroverd-agent speaks protocol 0; 1 or newer is needed here: upgrade dlroverd-agent."
    assert [node.id for node in here.client.nodes()] == ["n1"]
