"""What `job bundle` gathers: all that tells why a job is as it is, without its secrets, and what could not be had."""

import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlroverd.cli import output, sentences
from dlroverd.cli.archive import Archive
from dlroverd.cli.hiding import Hiding, secrets_here
from dlroverd.cli.job import first_cause, why
from dlroverd.model.view import LogChunk
from dlroverd.protocol.errors import CallError, Reason

if TYPE_CHECKING:
    from dlroverd.client import Client
    from dlroverd.model.view import EventView, IncidentView, JobView

_EVENTS = 20_000
_NODES = 64
# Incidents of which kernel lines and output are taken along, the newest ones.
_INCIDENTS = 3
_RANKS = 64
_LINES = 2000
_RANK_BYTES = 256 * 1024
# What the timeline shows of an event; events.jsonl has it whole.
_MOST_OF_A_BODY = 400
_PACKAGE = re.compile(r"(.+?)-(\d[^-]*)\.dist-info")

Step = tuple[str, Callable[[], None]]


class Bundle:
    """Fills an archive with one job. What cannot be had is noted in `missing`, and the rest goes on."""

    def __init__(self, client: "Client", archive: Archive, job: int) -> None:
        """Look at the job as it is now."""
        self.missing: list[str] = []
        self._client = client
        self._archive = archive
        self._known = why.look(client, job)
        self.job: JobView = self._known.job
        self._spec = client.job(job, with_spec=True).spec
        self._hiding = Hiding(client, output.plain(self._spec), self._secrets())
        self._nodes = _nodes(self.job)

    def _secrets(self) -> list[str]:
        """Read the job's secrets where this host has them, to hide what a script printed of them."""
        found = secrets_here(each for role in (self._spec.roles if self._spec else ()) for each in role.secrets)
        self.missing += [
            f"secret {secret.name}: it cannot be read here, so it is not hidden where the script printed it; look "
            "through output/, or write the bundle where it can be read"
            for secret, value in found.items()
            if not value
        ]
        return list(found.values())

    def steps(self) -> list[Step]:
        """Give what is to be done, in order, each with its name."""
        rounds = [
            (f"output of round {round_}", lambda round_=round_: self._output(round_)) for round_ in self._rounds()
        ]
        return [
            ("the job", self._of_job),
            ("events", self._events),
            ("nodes", self._of_nodes),
            ("versions", self._versions),
            ("kernel lines", self._kernels),
            *([("stacks", self._stacks)] if self.job.state == "running" else []),
            *rounds,
            ("what is missing", self._of_itself),
        ]

    def take(self, name: str, step: Callable[[], None]) -> None:
        """Do one step; what the daemon refuses is missing, a daemon that is gone ends it all."""
        try:
            step()
        except CallError as error:
            if error.reason is Reason.UNAVAILABLE:
                raise
            self.missing.append(f"{name}: {error.sentence}")

    def _of_job(self) -> None:
        self._document("why.json", why.document(self._known))
        self._text("why.txt", why.lines(self._known))
        self._document("status.json", sentences.job_document(self.job))
        self._document("spec.json", self._hiding.spec)
        self._document("checkpoints.json", [output.plain(commit) for commit in self._client.checkpoints(self.job.id)])

    def _events(self) -> None:
        """Take the log's slice of the job: as it is, and as a timeline for people."""
        events = list(self._client.events(job=self.job.id, limit=_EVENTS))
        if len(events) == _EVENTS:
            self.missing.append(f"events: only the newest {_EVENTS} of the job are here")
        self._archive.add("events.jsonl", "".join(f"{self._hiding.line(output.plain(event))}\n" for event in events))
        self._text("timeline.txt", [_told(event) for event in events])

    def _of_nodes(self) -> None:
        since = self.job.submitted_at
        for node in self._nodes[:_NODES]:
            try:
                detail = self._client.node(node)
            except CallError as error:
                if error.reason is Reason.UNAVAILABLE:
                    raise
                self.missing.append(f"node {node}: {error.sentence}")
                continue
            if detail.node.state not in ("ready", "joining"):
                self.missing.append(f"node {node} is {detail.node.state} ({detail.node.reason}): it tells nothing new")
            self._document(f"nodes/{node}.json", output.plain(detail))
            events = self._client.events(node=node, since=since, limit=_EVENTS)
            self._text(f"nodes/{node}-events.txt", [_told(event) for event in events])
        if len(self._nodes) > _NODES:
            self.missing.append(f"nodes: {len(self._nodes) - _NODES} of {len(self._nodes)} are left out")

    def _versions(self) -> None:
        from dlroverd import __version__
        from dlroverd.protocol.version import PROTOCOL_VERSION

        info = self._client.info()
        roles = self._spec.roles if self._spec is not None else ()
        interpreters = {role.argv[0] for role in roles if role.argv}
        self._document(
            "versions.json",
            {
                "dlroverctl": __version__,
                "protocol": PROTOCOL_VERSION,
                "daemon": info.version,
                "agents": {node.id: node.agent_version for node in self._client.nodes() if node.id in self._nodes},
                "programs": {program: installed(program) for program in sorted(interpreters)},
            },
        )
        self._document("daemon.json", output.plain(info))
        self.missing += [
            f"versions: what {program} has installed cannot be seen on this host; write the bundle where it is"
            for program in sorted(interpreters)
            if not installed(program)
        ]

    def _kernels(self) -> None:
        for incident in self.job.incidents[-_INCIDENTS:]:
            for log in self._client.kernel_logs(self.job.id, incident.id):
                if log.problem:
                    self.missing.append(f"kernel lines of incident {incident.id}: {log.problem}")
                self._text(
                    f"kernel/incident-{incident.id}-{log.node}.txt", list(first_cause.kernel(log, len(log.lines)))
                )

    def _stacks(self) -> None:
        """Take what ranks that run are at now; those that were taken when a hang was suspected are in its events."""
        from dlroverd.cli.stacks import shown

        stacks = self._client.stacks(self.job.id)
        self._document("stacks.json", [output.plain(stack) for stack in stacks])
        self._text("stacks.txt", list(shown(stacks)))

    def _rounds(self) -> list[int]:
        """Name the rounds whose output tells most: those of the newest incidents, and the current one."""
        current = [gang.round for role in self.job.roles for gang in role.gangs if gang.round]
        return sorted({*current, *(incident.round for incident in self.job.incidents[-_INCIDENTS:])})

    def _output(self, round_: int) -> None:
        """Take the last lines of each rank of a round; in a large job of those that failed, and of the first ones."""
        chosen, left_out = _ranks(self.job, round_)
        tails: defaultdict[tuple[str, int, int, str], deque[bytes]] = defaultdict(deque)
        for piece in self._client.logs(self.job.id, round_=round_, ranks=chosen, tail_lines=_LINES):
            if not isinstance(piece, LogChunk):
                self.missing.append(f"output of round {round_}: {piece.sentence}")
                continue
            tail = tails[piece.role, piece.gang, piece.rank, piece.node]
            tail.append(piece.data)
            while sum(map(len, tail)) - len(tail[0]) >= _RANK_BYTES:
                tail.popleft()
        for (role, gang, rank, node), tail in sorted(tails.items()):
            name = f"output/round-{round_}/{role}-{gang}-rank-{rank}-{node}.log"
            self._archive.add(name, self._hiding.text(b"".join(tail)[-_RANK_BYTES:].decode(errors="replace")))
        if left_out:
            self.missing.append(f"output of round {round_}: {left_out} ranks are left out; see `dlroverctl job logs`")

    def _of_itself(self) -> None:
        self._text("missing.txt", self.missing or ["Nothing that was looked for is missing."])

    def _document(self, name: str, content: Any) -> None:
        self._archive.add(name, self._hiding.document(content) + "\n")

    def _text(self, name: str, lines: list[str]) -> None:
        self._archive.add(name, self._hiding.text("".join(f"{line}\n" for line in lines)))


def _told(event: "EventView") -> str:
    where = " ".join(part for part in (event.node, f"rank {event.rank}" if event.rank >= 0 else "") if part)
    return (
        f"{output.clock(event.time)}  {event.severity:8}  {where or '-'}  {event.name}  {event.body[:_MOST_OF_A_BODY]}"
    )


def _nodes(job: "JobView") -> list[str]:
    """Name the nodes that a job runs on, or that its newest incidents are about."""
    causes = [cause for incident in reversed(job.incidents) for cause in (incident.cause, *incident.victims)]
    return list(dict.fromkeys([*(cause.node for cause in causes if cause and cause.node), *sentences.nodes(job)]))


def _ranks(job: "JobView", round_: int) -> tuple[list[int], int]:
    """Choose ranks of a round: none means all; how many are left out."""
    numbers = sorted({rank.rank for rank in sentences.ranks(job)})
    if len(numbers) <= _RANKS:
        return [], 0
    failed = list(_failed(incident for incident in job.incidents if incident.round == round_))
    chosen = list(dict.fromkeys([*failed, *numbers]))[:_RANKS]
    return sorted(chosen), len(numbers) - len(chosen)


def _failed(incidents: "Iterator[IncidentView]") -> Iterator[int]:
    for incident in incidents:
        for cause in (incident.cause, *incident.victims):
            if cause is not None and cause.rank is not None:
                yield cause.rank.rank


def installed(program: str) -> dict[str, str]:
    """List what an interpreter has, as this host's files say it; nothing of the job's is run. {} if it is not here."""
    # Not resolved: a virtual environment's interpreter is a link out of it.
    place = Path(program).parent.parent
    found = {}
    for folder in sorted(place.glob("lib*/python3*/*-packages")):
        for entry in folder.iterdir():
            if (match := _PACKAGE.fullmatch(entry.name)) is not None:
                found[match[1]] = match[2]
        found.setdefault("python", folder.parent.name.removeprefix("python"))
    return dict(sorted(found.items()))
