"""A host: its disk, its ranks, and an agent with the real core, which may be killed, frozen or rebooted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Protocol

from dlroverd_agent import core

from dlroverd.model.ids import GangKey, RankKey
from dlroverd.model.input import NodeHello
from dlroverd.model.job import RankState
from dlroverd.model.node import DeviceObservation, NodeFacts
from dlroverd.model.world import Assignment, Desired, Observed, Progress, RankObservation
from dlroverd.testing.simulator.checks import Checks
from dlroverd.testing.simulator.neighbours import Neighbours
from dlroverd.testing.simulator.network import Network
from dlroverd.testing.simulator.ranks import Rank
from dlroverd.testing.simulator.schedule import Schedule
from dlroverd.testing.simulator.vaults import Vaults

_CONNECT_TIMEOUT_S = 3.0


class DaemonEnd(Protocol):
    """What an agent can call of the daemon, over the network."""

    def hello(self, host: "Host", session: int, item: NodeHello) -> None:
        """Open a session."""

    def report(self, node: str, session: int, observed: Observed) -> None:
        """Tell what is seen."""

    def progress(self, progress: Progress) -> None:
        """Tell the first step of a world."""

    def left(self, node: str, session: int) -> None:
        """Say that a session is over, as a closed connection does."""

    def doubt(self, node: str) -> None:
        """Beats of a node may have stopped: count its silence from now."""


class Processes(Protocol):
    """The ranks of all hosts: what a launcher, a kernel and the scripts do with them."""

    def start(self, rank: Rank, assignment: Assignment, name: str) -> None:
        """Begin a process of the job called `name`."""

    def stop(self, rank: Rank, evidence_s: float, grace_s: float, name: str) -> None:
        """TERM after `evidence_s`, KILL `grace_s` later."""

    def power_off(self, rank: Rank) -> None:
        """Its host is gone at once."""

    def freeze(self, rank: Rank) -> None:
        """Its host stands still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chances:
    """How often an agent dies between two actions, and how often its host is found unfit for a world."""

    dies: float = 0.0
    unfit: float = 0.0


class Host:
    """One node."""

    def __init__(
        self,
        name: str,
        facts: NodeFacts,
        *,
        schedule: Schedule,
        rng: Random,
        network: Network,
        ranks: Processes,
        chances: Chances,
        checks: Checks,
    ) -> None:
        """Begin switched off."""
        self.name = name
        self._facts = facts
        self.session = 0
        self.calm = False
        self.core: core.AgentCore | None = None
        self._schedule = schedule
        self._rng = rng
        self._network = network
        self._world = ranks
        self._chances = chances
        self._boots = 0
        self._lives = 0
        self._sessions = 0
        self._on = False
        self._frozen = False
        self._backlog: list[Callable[[], None]] = []
        self._welcomed = False
        self._partings = 0
        self._backoff_s = 0.1
        self.neighbours = Neighbours(name, rng, network, self._alive_after, self._feed, unfit=chances.unfit)
        self.vaults = Vaults(self._feed, checks)
        # What waits to be told, as in the real link: the newest only.
        self._news: list[RankObservation] = []
        self._report: Observed | None = None
        self._acked = (0, 0)  # of which session, and the newest version
        self._devices: dict[str, DeviceObservation] = {}
        self._progress: dict[GangKey, Progress] = {}
        # The disk.
        self._followed = core.Followed()
        self._records: dict[RankKey, Rank] = {}
        self._jobs: dict[RankKey, str] = {}

    daemon: DaemonEnd

    @property
    def boot_id(self) -> str:
        """What tells one boot from the next."""
        return f"{self.name}-boot-{self._boots}"

    def hears(self, session: int) -> bool:
        """Whether beats of `session` go out and arrive."""
        awake = self.core is not None and not self._frozen
        return awake and self.session == session and self._network.passes(self.name)

    @property
    def answers(self) -> bool:
        """Whether its agent answers those of other hosts."""
        return self._on and not self._frozen and self.core is not None

    def living(self) -> list[Rank]:
        """The ranks whose main process runs, by key."""
        return [self._records[key] for key in sorted(self._records) if not self._records[key].ended]

    def using(self, device: str) -> Rank | None:
        """Find the live rank that an accelerator was granted to."""
        for assignment in self._followed.held.assignments:
            if device in assignment.devices:
                at = assignment.first_rank + assignment.devices.index(device)
                rank = self._records.get(assignment.round.rank(at))
                return rank if rank is not None and not rank.ended else None
        return None

    # ---- what happens to it

    def boot(self) -> None:
        """Switch on, and start the agent."""
        if not self._on:
            self._boots += 1
            self._on = True
            self.start_agent()

    def power_off(self) -> None:
        """Lose everything but the disk, at once."""
        if not self._on:
            return
        self._on, self._frozen, self._backlog = False, False, []
        for key in sorted(self._records):
            self._world.power_off(self._records[key])
        self.vaults.power_off()
        self.kill_agent()

    def freeze(self) -> None:
        """Stand still: nothing runs, and connections stay open."""
        if self._on and not self._frozen:
            self._frozen = True
            for rank in self.living():
                self._world.freeze(rank)
            self.daemon.doubt(self.name)

    def thaw(self) -> None:
        """Go on where it stood."""
        if not self._frozen:
            return
        self._frozen = False
        backlog, self._backlog = self._backlog, []
        for call in backlog:
            self._schedule.after(0.0, call)

    def kill_agent(self) -> None:
        """End the agent; ranks go on."""
        if self.core is not None:
            self.core = None
            self._lives += 1
            self._news, self._report = [], None
            self._part()

    def start_agent(self) -> None:
        """Start the agent, which finds its ranks."""
        if not self._on or self._frozen or self.core is not None:
            return
        self.core = core.AgentCore(self.name, self._followed)
        found = tuple(self._records[key].seen for key in sorted(self._records))
        self._feed(core.Recovered(found))
        if self._devices:
            self._feed(core.DevicesSeen(tuple(self._devices.values())))
        self.vaults.attend()
        self._grow_lonely()
        self._backoff_s = 0.1
        self._connect_later()

    def device(self, seen: DeviceObservation) -> None:
        """Have the agent see how one of its accelerators is, also after its next start."""
        self._devices[seen.uuid] = seen
        self._feed(core.DevicesSeen(tuple(self._devices.values())))

    # ---- its link

    def welcome(self, session: int, version: int) -> None:
        """The daemon has accepted the hello of a session."""
        if session == self.session and not self._welcomed:
            self._welcomed, self._backoff_s = True, 0.1
            self._feed(core.Connected(version))
            self._tell_progress()

    def desired(self, session: int, wanted: Desired) -> None:
        """The daemon says what to run; maybe late, maybe twice, but never after its session, as in a stream."""
        if session == self.session:
            self._feed(core.DesiredArrived(wanted))

    def acked(self, session: int, version: int) -> None:
        """The daemon has made durable what was seen."""
        if session == self.session:
            self._acked = max(self._acked, (session, version))
            self._feed(core.Acked(version))

    def parted(self, session: int) -> None:
        """A session has ended from the other side."""
        if session == self.session:
            self._part()
            self._connect_later()

    def wake(self, call: Callable[[], None]) -> None:
        """Have something of the network or of a clock happen here: not before a frozen host thaws."""
        if self._frozen:
            self._backlog.append(call)
        elif self._on:
            call()

    def _part(self) -> None:
        session, self.session, self._welcomed, self._report = self.session, 0, False, None
        if session:
            if self._on:
                self._network.send(self.name, lambda: self.daemon.left(self.name, session), once=True)
            self.daemon.doubt(self.name)
            if self.core is not None:
                self._feed(core.Disconnected())
                self._grow_lonely()

    def _grow_lonely(self) -> None:
        """Have time pass for the agent while it has no daemon; at other times that follows each report."""
        self._partings += 1
        parting = self._partings

        def tick() -> None:
            if parting == self._partings and not self._welcomed:
                self._feed(core.Ticked())
                self._alive_after(core.ASK_EVERY_S, tick)

        self._alive_after(core.CUT_OFF_S + 0.1, tick)

    def _connect_later(self) -> None:
        delay_s = self._backoff_s * self._rng.uniform(0.5, 1.0)
        self._backoff_s = min(5.0, self._backoff_s * 2)
        self._alive_after(delay_s, self._connect)

    def _connect(self) -> None:
        if self.core is None or self.session:
            return
        self._sessions += 1
        self.session = session = self._sessions
        followed = self.core.followed
        hello = NodeHello(
            node=self.name,
            boot_id=self.boot_id,
            facts=self._facts,
            log_id=followed.log_id,
            position=followed.position,
            observed=self.core.observed(),
            held=followed.held,
        )
        self._network.send(self.name, lambda: self.daemon.hello(self, session, hello), once=True)
        self._alive_after(_CONNECT_TIMEOUT_S, lambda: None if self._welcomed else self.parted(session))

    # ---- its agent

    def _alive_after(self, delay_s: float, call: Callable[[], None]) -> None:
        life = self._lives
        self._schedule.after(delay_s, lambda: self.wake(lambda: call() if life == self._lives else None))

    def _feed(self, item: core.Input) -> None:
        if self.core is not None:
            self._perform(self.core.handle(item, self._schedule.now))

    def _perform(self, actions: Sequence[core.Action]) -> None:
        life = self._lives
        for action in actions:
            if not self.calm and self._rng.random() < self._chances.dies:
                self.kill_agent()
                self._schedule.after(self._rng.uniform(0.1, 3.0), lambda: self.wake(self.start_agent))
            if life != self._lives:
                return
            self._do(action)

    def _do(self, action: core.Action) -> None:
        match action:
            case core.SaveFollowed():
                self._followed = action.followed
            case core.Start():
                self._start(action.key, action.assignment, action.spec.name)
            case core.Stop():
                rank = self._records[action.key]
                self._world.stop(rank, action.evidence_s, action.grace_s, self._jobs[action.key])
            case core.Forget():
                del self._records[action.key]
            case core.Check():
                self.neighbours.check(action.assignment)
            case core.CallSuspects():
                self.neighbours.call(action.suspects)
            case core.AskPeer():
                self.neighbours.ask(action.peer, action.gangs)
            case core.SendObserved():
                if self._report is None:
                    self._alive_after(0.0, self._send_report)
                self._report = action.observed
            case core.TellVault():
                self.vaults.told(action.verdict)
            case core.Reconnect():
                self.parted(self.session)
            case core.Say():
                return

    def _start(self, key: RankKey, assignment: Assignment, name: str) -> None:
        boot = self._boots

        def later(delay_s: float, call: Callable[[], None]) -> None:
            self._schedule.after(delay_s, lambda: self.wake(lambda: call() if boot == self._boots else None))

        seen = RankObservation(key=key, state=RankState.ASSIGNED)
        rank = Rank(self.name, assignment.world_size, seen, self._saw, later)
        self._records[key], self._jobs[key] = rank, name
        self._world.start(rank, assignment, name)

    def _send_report(self) -> None:
        observed, self._report = self._report, None
        session = self.session
        if observed is not None and session:
            self._network.send(self.name, lambda: self.daemon.report(self.name, session, observed))
            self._await_ack(session, observed.version)

    def _await_ack(self, session: int, version: int) -> None:
        """Have the agent look at the clock, as a real one does all the time, and again until it is heard."""

        def look() -> None:
            self._feed(core.Ticked())
            if session == self.session and self._acked < (session, version):
                self._await_ack(session, version)

        self._alive_after(core.ACK_LATE_S + 0.1, look)

    def _saw(self, seen: RankObservation) -> None:
        self._news.append(seen)
        if len(self._news) == 1:
            self._alive_after(0.0, self._tell_news)

    def _tell_news(self) -> None:
        news, self._news = self._news, []
        for seen in news:
            self._feed(core.RankChanged(seen))

    def stepped(self, progress: Progress) -> None:
        """A world of which this node has a rank made a step that counts; told again in the next session."""
        self._progress = {**self._progress, progress.round.gang_key: progress}
        self._tell_progress()

    def _tell_progress(self) -> None:
        """Tell the newest steps of the worlds that it has part of, as each of the real agent's messages does."""
        held = {each.round for each in self._followed.held.assignments}
        self._progress = {gang: each for gang, each in self._progress.items() if each.round in held}
        for progress in self._progress.values():
            self._network.send(self.name, partial(self.daemon.progress, progress), once=True)
