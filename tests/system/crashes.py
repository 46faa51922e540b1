"""Crashes of real jobs of four ranks on two nodes, the victim drawn at random, and what `job why` makes of each."""

import json
import os
import random
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dlroverd.model.view import IncidentView
from tests.system.fleet import SCRIPTS, Fleet, gang, processes_of, until

RANKS = 4
_MEMORY_GROUPS = Path("/sys/fs/cgroup/memory")
_MEMORY_LIMIT = 256 << 20
# What each kind is to be called: the kernel's own OOM kill is, without a unit, a SIGKILL that nobody sent.
KINDS: Mapping[str, frozenset[str]] = {
    "segv": frozenset({"signal"}),
    "abort": frozenset({"signal"}),
    "kill": frozenset({"signal"}),
    "exception": frozenset({"exception"}),
    "exit": frozenset({"exit_code"}),
    "memory": frozenset({"out_of_memory"}),
    "oom": frozenset({"signal", "out_of_memory"}),
    "disk": frozenset({"disk_full"}),
    "port": frozenset({"exception"}),
    "node": frozenset({"node_lost"}),
}
# Nothing waits, and none is deterministic: so many faults of one job are no crash loop.
# Lives are too short for warm spares, which would only take the processors from them.
RULES = "warm_spares: false\non_failure:\n  - {verdict: process, free: true}\n"
LIMITS = {"unreachable_after": "1s", "lost_by_peers": "2s", "lost_after": "3s"}


@dataclass(frozen=True, slots=True)
class Trial:
    """One crash. `wrong` says in what the first cause is not right, "" if it is."""

    kind: str
    victim: int
    wrong: str


def kinds_here() -> list[str]:
    """Give the kinds that can be made on this machine."""
    return [kind for kind in KINDS if kind != "oom" or os.access(_MEMORY_GROUPS, os.W_OK)]


def in_turn(kinds: Sequence[str], trials: int, chance: random.Random) -> list[tuple[str, int]]:
    """Draw so many trials of each kind, mixed, with a victim each."""
    drawn = [(kind, chance.randrange(RANKS)) for kind in kinds for _ in range(trials)]
    chance.shuffle(drawn)
    return drawn


def jobs_of(drawn: Sequence[tuple[str, int]], most: int) -> Iterator[list[tuple[str, int]]]:
    """Share crashes out to jobs, at most so many each. A full disk is a job's last: its restart waits for room."""
    plan: list[tuple[str, int]] = []
    for each in drawn:
        plan.append(each)
        if len(plan) == most or each[0] == "disk":
            yield plan
            plan = []
    if plan:
        yield plan


def crash(here: Fleet, folder: Path, plan: Sequence[tuple[str, int]], python: str) -> Iterator[Trial]:
    """Have one job crash as planned, a round for each, and judge what is said of it. Three nodes are needed."""
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps(plan))
    file = folder / "job.yaml"
    file.write_text(
        f"script: {SCRIPTS / 'crashing.py'}\nargs: [{folder}]\npython: {python}\nnnodes: 2\nnproc_per_node: 2\n"
        f"no_progress_restarts: {len(plan) + 10}\n{RULES}"
    )
    with ExitStack() as held:
        (folder / "port").write_text(str(held.enter_context(_held_port())))
        if any(kind == "oom" for kind, _ in plan):
            (folder / "memory_group").write_text(str(held.enter_context(_memory_group(folder.name))))
        job = int(here.ctl("submit", "--parsable", "-f", str(file)).stdout)
        nodes: list[str] = []
        for life, (kind, victim) in enumerate(plan):
            nodes.append(_crashed(here, job, folder / f"ready-{life}", life, victim if kind == "node" else None))
            if life + 1 < len(plan):
                _began(here, job, life + 2)
        here.end_jobs()
    incidents = here.client.job(job).incidents
    for life, (kind, victim) in enumerate(plan):
        of_life = [incident for incident in incidents if incident.round == life + 1]
        yield Trial(kind, victim, _wrong(of_life, kind, victim, nodes[life]))


def _crashed(here: Fleet, job: int, ready: Path, life: int, victim: int | None) -> str:
    """See one life end and its cause named; `victim` is whose node is to be lost, which is given back, else ""."""
    node = ""
    if victim is not None:
        until(ready.exists, bool)
        node = gang(here.client.job(job)).ranks[victim].node
        here.agents[node].stop(signal.SIGKILL)
        for pid in processes_of(here.root / node):
            os.kill(pid, signal.SIGKILL)
    here.until_job(job, lambda view: any(each.round == life + 1 and each.action for each in view.incidents))
    if node:
        here.agents[node].start()
        here.until_nodes(lambda views: all(view.state == "ready" for view in views))
    return node


def _began(here: Fleet, job: int, round_: int) -> None:
    """See a job's next life begin; one that has failed has none, which its trials show."""
    here.until_job(job, lambda view: gang(view).round >= round_ or view.state == "failed")


def _wrong(incidents: Sequence[IncidentView], kind: str, victim: int, node: str) -> str:
    if len(incidents) != 1:
        return f"{len(incidents)} incidents in its round"
    cause, victims = incidents[0].cause, incidents[0].victims
    if cause is None or cause.kind not in KINDS[kind]:
        return f"kind {cause.kind if cause else None}: {cause.sentence if cause else ''}"
    if kind == "node":
        return "" if cause.node == node else f"node {cause.node} instead of {node}: {cause.sentence}"
    if cause.rank is None or cause.rank.rank != victim:
        return f"rank {cause.rank.rank if cause.rank else None} instead of {victim}: {cause.sentence}"
    others = [each.rank.rank for each in victims if each.rank is not None]
    return "" if victim not in others else "the culprit is among its victims"


@contextmanager
def _held_port() -> Iterator[int]:
    """Have a port that somebody else listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield int(taken.getsockname()[1])


@contextmanager
def _memory_group(name: str) -> Iterator[Path]:
    """Have a control group whose memory is limited, for a rank to enter: the kernel ends what takes more."""
    group = _MEMORY_GROUPS / f"dlroverd-{os.getpid()}-{name}"
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(_MEMORY_LIMIT))
        yield group
    finally:
        group.rmdir()
