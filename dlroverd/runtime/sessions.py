"""The agents' sessions: one mailbox a node, in which only the newest of each kind waits.

Level-triggered, so a slow or lost agent costs a bounded amount of memory, and nothing has to arrive in order.
Must not decide what a node should run: that is the core's `desired`.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from itertools import count

from dlroverd.core.passes import leases
from dlroverd.core.state import State
from dlroverd.core.turn import Done, Outcome
from dlroverd.model import input as inp
from dlroverd.model.difference import DifferenceKind
from dlroverd.model.node import NodeState
from dlroverd.model.world import Desired, Observed
from dlroverd.protocol.errors import CallError, Reason
from dlroverd.protocol.messages import Ack, Beat, Heard, Hello, LogRequest, StackRequest
from dlroverd.runtime.certificates import Certificates
from dlroverd.runtime.inbox import Entry, Inbox
from dlroverd.runtime.steps import Steps
from dlroverd.runtime.watch import Watch

# How many beats an agent may be behind before it is told again: one may cross what was sent.
_PATIENCE_BEATS = 2
# How often it is told again in vain before it is to begin anew.
_MOST_REPEATS = 3
# A session in which this many beats are missing may be the one that a host left behind when it was reset.
_DOUBTFUL_BEATS = 2
# The longest absence that an agent may announce: an operator who wants more drains the node.
_MOST_AWAY_S = 600.0
_MOST_REQUESTS = 100
# How long what nobody waits for is held back, acknowledgements and that ranks may be forgotten: while thousands of
# nodes are told of a world, each message that none of them waits for makes the last one wait, and the next may say it
# too. About half of the time after which an agent misses its acknowledgement; one of an older release misses it after
# 5 s, and says its report once more.
LEISURE_S = 8.0
# A beat costs the daemon a quarter of a millisecond: of 10,000 nodes at 1 s that is more than a processor. Who has
# that many sets a longer `unreachable_after`, and gets fewer beats.
_MOST_BEAT_INTERVAL_S = 5.0
_BEATS_IN_LIMIT = 5
_WATCH_INTERVAL_S = 0.25
# Leases are looked at once a second.
_LOOKS_A_LEASE_LOOK = 4
_REACHABLE = frozenset({NodeState.JOINING, NodeState.READY, NodeState.FOREIGN})


class Session:
    """One live session, and what waits to be sent on it."""

    def __init__(self, node: str, *, instance: str = "", host: str = "") -> None:
        """Begin with nothing to send; `instance` is the agent's, `host` the address it calls from."""
        self.node = node
        self.instance = instance
        self.host = host
        self.heard_at_s = time.monotonic()
        self.closed = asyncio.Event()
        self.report: Entry | None = None
        self._desired: Desired | None = None
        self.told: Desired | None = None
        self._audit = self._surveyed = 0
        self._looked = asyncio.Event()
        self._beats_behind = 0
        self._repeats = 0
        self._acked = -1
        self._unhurried: Desired | None = None
        self._durable = -1
        self._acknowledging: asyncio.TimerHandle | None = None
        self._forgetting: asyncio.TimerHandle | None = None
        self._asked_at = 0.0
        self._requests: list[LogRequest | StackRequest] = []
        self._ended = False
        self._why: CallError | None = None
        self._wake = asyncio.Event()

    def send(self, wanted: Desired) -> None:
        """Send a desired state in place of any that still waits."""
        self._desired = self.told = self._numbered(wanted)
        self._unhurried = None
        self._beats_behind = 0
        self._wake.set()

    def send_at_leisure(self, wanted: Desired) -> None:
        """Send a desired state within LEISURE_S: its agent has nothing to do for it but to forget."""
        if self._desired is not None:  # in place of the one that waits
            self.send(wanted)
            return
        self._unhurried = self.told = self._numbered(wanted)
        if self._forgetting is None:
            self._forgetting = asyncio.get_running_loop().call_later(LEISURE_S, self._have_forgotten)

    def audit(self, wanted: Desired) -> None:
        """Send a desired state, unless a newer one was sent, and have the agent tell all that it sees."""
        self._audit += 1
        newer = self.told is not None and self.told.position > wanted.position
        self.send(self.told if newer and self.told is not None else wanted)

    async def surveyed(self) -> None:
        """Wait until the agent has looked what really runs since the audit before, and that is in the state."""
        number = self._audit
        while self._surveyed < number:
            await self._looked.wait()

    def note_survey(self, audit: int) -> None:
        """Take that the agent has looked since that audit."""
        if audit > self._surveyed:
            self._surveyed = audit
            self._looked.set()
            self._looked = asyncio.Event()

    def beat(self, beat: Beat) -> bool:
        """Answer, if it is asked to; notice that the agent has not got what it was sent, and send it again.

        Whether it was sent again so often that only a new session can help. An agent that follows another log refuses
        what it is sent, and is no case of that.
        """
        if beat.asked_at:
            self._asked_at = beat.asked_at
            self._wake.set()
        last = self.told
        if last is None or last is self._unhurried or _has(beat, last):
            self._beats_behind = self._repeats = 0
            return False
        self._beats_behind += 1
        if self._beats_behind > _PATIENCE_BEATS:
            self.send(last)
            self._repeats += beat.applied_log_id in ("", last.log_id)
        return self._repeats > _MOST_REPEATS

    def acknowledge(self, version: int) -> None:
        """Say that all up to a version of what the agent observed is durable."""
        self._acked = version
        self._wake.set()

    def acknowledge_at_leisure(self, version: int) -> None:
        """Say so within LEISURE_S, unless a newer version is durable by then."""
        self._durable = version
        if self._acknowledging is None:
            self._acknowledging = asyncio.get_running_loop().call_later(LEISURE_S, self._have_acknowledged)

    def _numbered(self, wanted: Desired) -> Desired:
        return wanted if wanted.audit == self._audit else replace(wanted, audit=self._audit)

    def request(self, wanted: LogRequest | StackRequest) -> None:
        """Ask for output or stacks of ranks; CallError if the agent has not taken the many requests before this one."""
        if len(self._requests) >= _MOST_REQUESTS:
            raise CallError(Reason.UNAVAILABLE, f"Node {self.node} has too many requests waiting.")
        self._requests.append(wanted)
        self._wake.set()

    def _have_forgotten(self) -> None:
        self._forgetting = None
        if self._unhurried is not None:
            self.send(self._unhurried)

    def _have_acknowledged(self) -> None:
        self._acknowledging = None
        self.acknowledge(self._durable)

    @property
    def ended(self) -> bool:
        """Whether it was ended from here: what its agent said before that, and is read only now, is old."""
        return self._ended

    async def closed_within(self, timeout_s: float) -> bool:
        """Wait for the session's end for a while; whether it came."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self.closed.wait()
        return self.closed.is_set()

    def end(self, why: CallError | None) -> None:
        """End the session; the agent sees `why`, None if it was its own wish."""
        if not self._ended:
            self._ended, self._why = True, why
            self._wake.set()

    async def outgoing(self) -> AsyncIterator[Desired | Ack | LogRequest | StackRequest | Heard]:
        """Give what is to be sent, as it comes up, until the session ends; CallError if that was from here."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._ended:
                if self._why is not None:
                    raise self._why
                return
            wanted, self._desired = self._desired, None
            if wanted is not None:
                yield wanted
            acked, self._acked = self._acked, -1
            if acked >= 0:
                yield Ack(observed_version=acked)
            asked_at, self._asked_at = self._asked_at, 0.0
            if asked_at:
                yield Heard(asked_at=asked_at)
            requests, self._requests = self._requests, []
            for request in requests:
                yield request


class Sessions:
    """All live sessions, by node."""

    def __init__(self, state: State, inbox: Inbox, unreachable_after_s: float) -> None:
        """Begin with none; every node that counts as reachable has a full limit to say hello."""
        self.beat_interval_s = min(_MOST_BEAT_INTERVAL_S, unreachable_after_s / _BEATS_IN_LIMIT)
        self._state = state
        self._inbox = inbox
        self.steps = Steps(state, inbox)
        self.certificates = Certificates()
        self._limit_s = unreachable_after_s
        reachable = [node.id for node in state.nodes.values() if node.state in _REACHABLE]
        silent = [node.id for node in state.nodes.values() if node.state not in _REACHABLE]
        self._watch = Watch(reachable, time.monotonic(), unreachable_after_s, silent)
        self._live: dict[str, Session] = {}
        self._arrival = asyncio.Event()

    def open(self, hello: Hello, host: str = "") -> Session:
        """Begin the session of an agent that calls from `host` ("" on a unix socket).

        Raises:
            CallError: the hello makes no sense, or a live session has that node's name.
        """
        _check(hello)
        self._make_way(hello)
        session = Session(hello.node, instance=hello.instance, host=host)
        self.heard(session)
        self._live[hello.node] = session
        self._arrival.set()
        self._arrival = asyncio.Event()
        version = hello.observed.version

        def settle(result: Outcome | CallError) -> None:
            if isinstance(result, CallError):
                session.end(result)
            else:
                session.acknowledge(version)

        item = inp.NodeHello(
            node=hello.node,
            boot_id=hello.boot_id,
            facts=hello.facts,
            log_id=hello.log_id,
            position=hello.position,
            observed=hello.observed,
            held=hello.held,
        )
        self._inbox.put(Entry(item, settle))
        return session

    def _make_way(self, hello: Hello) -> None:
        """End the session that has the node's name already, if that one is over and its end was not seen.

        An agent has one session at a time, so the same process dialling again has lost its last one. Another
        process may be its successor, on a host that was reset or cut off and never said so, or a second agent with
        the same name. Machine and boot ids do not tell these apart (images and running machines are cloned), nor do
        addresses (two agents on one host, several hosts behind one router). That the other one still speaks does: two
        that both live would otherwise throw each other out for ever. So a successor waits for missing beats.
        """
        old = self._live.get(hello.node)
        if old is None:
            return
        again = bool(hello.instance) and hello.instance == old.instance
        if not again and time.monotonic() - old.heard_at_s < _DOUBTFUL_BEATS * self.beat_interval_s:
            raise CallError(
                Reason.DUPLICATE_NODE,
                f"Another agent is connected as node {hello.node}{f' from {old.host}' if old.host else ''}: stop one "
                "of them, or give this one another name (`node` in its configuration).",
            )
        old.end(CallError(Reason.UNAVAILABLE, f"A newer session of node {hello.node} took the place of this one."))
        self.close(old)

    def heard(self, session: Session) -> None:
        """Note that a session's agent said something."""
        session.heard_at_s = time.monotonic()
        self._watch.heard(session.node, session.heard_at_s)

    def leave(self, session: Session, away_s: float) -> None:
        """End a session at its agent's wish, which expects to be back within `away_s`."""
        if away_s > 0:
            self._watch.away(session.node, time.monotonic() + min(away_s, _MOST_AWAY_S))
        session.end(None)

    def back_within(self, node: str) -> float:
        """Give within how many seconds an agent that stopped in good order is waited for; 0 if none is."""
        return self._watch.back_within(node, time.monotonic())

    async def watch(self) -> None:
        """End the sessions of nodes that fall silent, and tell the core; runs for ever.

        A node that thaws says hello anew, so nothing of what it missed has to be made up for.
        """
        for look in count(1):
            await asyncio.sleep(_WATCH_INTERVAL_S)
            for node in self._watch.silent(time.monotonic(), _WATCH_INTERVAL_S):
                self._inbox.put(Entry(inp.NodeSilent(node=node)))
                why = f"Nothing was heard of node {node} for {self._limit_s:g} s; say hello again."
                self.end(node, CallError(Reason.UNAVAILABLE, why))
            if look % _LOOKS_A_LEASE_LOOK == 0:
                self._tell_silences(time.monotonic())

    def _tell_silences(self, now_s: float) -> None:
        """Tell the core for how long nodes are silent that may run ranks with a lease."""
        for node, silent_s in self._watch.silences(now_s):
            if node in self._state.nodes and any(leases.counted(self._state, node)):
                self._inbox.offer(Entry(inp.StillSilent(node=node, silent_s=silent_s)))

    def beat(self, session: Session, beat: Beat) -> None:
        """Take a beat; end a session whose agent takes nothing of what it is told, so that it says hello anew."""
        if session.beat(beat):
            what = (
                f"the agent is at position {beat.applied_position} of what it was told, however often it is told more"
            )
            mended = "its session is ended, so that it says hello again"
            kind = DifferenceKind.BEHIND
            self._inbox.put(Entry(inp.DifferenceFound(node=session.node, kind=kind, what=what, mended=mended)))
            session.end(
                CallError(Reason.UNAVAILABLE, f"Node {session.node} takes nothing it is told; say hello again.")
            )

    def nodes(self) -> list[str]:
        """List the nodes that have a session."""
        return list(self._live)

    def close(self, session: Session) -> None:
        """Forget a session whose call has ended."""
        session.closed.set()
        if self._live.get(session.node) is session:
            del self._live[session.node]

    def live(self, node: str) -> Session | None:
        """Give a node's session, if it has one."""
        return self._live.get(node)

    async def connected(self, node: str) -> Session:
        """Give a node's session, when it has one."""
        while (session := self._live.get(node)) is None:
            await self._arrival.wait()
        return session

    def report(self, session: Session, observed: Observed) -> None:
        """Take in what an agent sees; a newer report replaces one that still waits for its turn."""
        item = inp.NodeReport(node=session.node, observed=observed)
        waiting = session.report
        if waiting is not None and not waiting.taken:
            waiting.input = item
            return

        def settle(result: Outcome | CallError) -> None:
            # The version is read now: the entry may hold a newer report than the one it was made for.
            if isinstance(result, Done) and isinstance(entry.input, inp.NodeReport):
                session.acknowledge_at_leisure(entry.input.observed.version)
                session.note_survey(entry.input.observed.surveyed)

        entry = session.report = Entry(item, settle)
        self._inbox.put(entry)

    def deliver(self, node: str, wanted: Desired) -> None:
        """Send a desired state, if the node is connected: otherwise it gets one when it says hello."""
        if (session := self._live.get(node)) is None:
            return
        if session.told is not None and wanted.only_forgets(session.told):
            session.send_at_leisure(wanted)
        else:
            session.send(wanted)

    def end(self, node: str, why: CallError) -> None:
        """End a node's session, if it has one."""
        if (session := self._live.get(node)) is not None:
            session.end(why)

    def end_all(self, why: CallError) -> None:
        """End every session."""
        for session in self._live.values():
            session.end(why)


def _has(beat: Beat, wanted: Desired) -> bool:
    return beat.applied_log_id == wanted.log_id and beat.applied_position >= wanted.position


def _check(hello: Hello) -> None:
    facts = hello.facts
    if not 1 <= len(hello.node) <= 253 or not hello.node.isprintable():
        raise CallError(Reason.INVALID, f"{hello.node!r:.300} is no name for a node; give it 1 to 253 characters.")
    if not 1 <= facts.port_low <= facts.port_high <= 65535:
        raise CallError(Reason.INVALID, f"Node {hello.node} has no port range: {facts.port_low}-{facts.port_high}.")
    if facts.slots < 0:
        raise CallError(Reason.INVALID, f"Node {hello.node} says that it has {facts.slots} slots.")
