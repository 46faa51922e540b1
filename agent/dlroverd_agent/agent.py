"""The agent round its core: brings inputs in, carries actions out in order, keeps the loop free.

Whatever may block (disk, regular expressions of users, driver calls) happens in threads or children; a beat
waits for none of it. Decisions are the core's.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncGenerator, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import structlog

from dlroverd.config.agent import AgentConfig
from dlroverd.model.fault import LEASE_RAN_OUT, SHUT_DOWN
from dlroverd.model.ids import RankKey
from dlroverd.model.job import RankState
from dlroverd.model.node import DeviceObservation, NodeFacts
from dlroverd.model.signal import Signal
from dlroverd.model.world import Desired, RankObservation
from dlroverd.protocol import notify
from dlroverd.protocol.messages import Ack, Beat, Heard, Hello, LogPiece, LogRequest, StackRequest, Stacks, Welcome
from dlroverd.protocol.version import PROTOCOL_VERSION
from dlroverd_agent import __version__, core, retention
from dlroverd_agent.checkups.checkups import Checkups
from dlroverd_agent.devices.monitor import DeviceMonitor
from dlroverd_agent.drills import Drills
from dlroverd_agent.events.flow import EventFlow
from dlroverd_agent.facts import going_down, with_addresses
from dlroverd_agent.launchers import lease
from dlroverd_agent.launchers.choice import make_launcher
from dlroverd_agent.launchers.files import boot_id
from dlroverd_agent.link import Link
from dlroverd_agent.logs import RankLogs
from dlroverd_agent.master_ports import MasterPorts
from dlroverd_agent.monitors.host import HostMonitor
from dlroverd_agent.monitors.monitors import Monitors
from dlroverd_agent.monitors.steps import StepTimes
from dlroverd_agent.notices import Notices
from dlroverd_agent.output_watch import OutputWatch
from dlroverd_agent.peers.peers import Peers
from dlroverd_agent.progress import ProgressWatch, patterns_of
from dlroverd_agent.reboot import reboot
from dlroverd_agent.renewal import Renewal
from dlroverd_agent.signals.journal import Journal
from dlroverd_agent.signals.watch import SignalWatch
from dlroverd_agent.stacks.collector import StackCollector
from dlroverd_agent.starts import Starts
from dlroverd_agent.state import FollowedFile
from dlroverd_agent.survey import Surveys
from dlroverd_agent.vaults.choice import make_vaults
from dlroverd_agent.vaults.commits import Commits

TICK_S = 1.0
LEAVE_S = 2.0

_log = structlog.get_logger()


class Agent:
    """One node's agent. LauncherUnavailableError, StateError and OSError come from the constructor."""

    def __init__(self, config: AgentConfig, devices: DeviceMonitor) -> None:
        self._config = config
        self._devices = devices
        state_dir = Path(config.state_dir)
        self._ranks_dir = state_dir / "ranks"
        self._seen: asyncio.Queue[RankObservation] = asyncio.Queue()
        self._launcher = make_launcher(config, self._seen.put_nowait)
        self._file = FollowedFile(state_dir)
        self._core = core.AgentCore(config.node, self._file.load())
        self._master_ports = MasterPorts()
        self._master_ports.note(self._core.followed.held)
        self._unsaved = False
        self._facts: NodeFacts | None = None
        self._actions: asyncio.Queue[core.Action] = asyncio.Queue()
        self._instance = uuid4().hex
        self._greeted_at = 0.0
        self._session_log = ""
        self.events = EventFlow(config)
        self._vaults = make_vaults(config, self._launcher, lambda: self._core.followed.held, self.events)
        self._starts = Starts(config.node, self._launcher, devices, self.events, self._vaults)
        self.connected = False
        self._link = Link(config.daemon, self, config.tls.files() if config.tls else None, self.events.push)
        self._progress = ProgressWatch(self._launcher.files, self._link.send)
        self._outputs = OutputWatch(self._ranks_dir, self._launcher.files, config.log_limit)
        self._logs = RankLogs(config.node, self._launcher.files, self._ended)
        self._stacks = StackCollector(config.node, self._pids, self._launcher.files)
        self._drills = Drills(self._launcher, state_dir, self._running, self._link.reconnect)
        self._notices = Notices(self._launcher)
        self._peers = Peers(config, self._core, self._feed, self._vaults.shortage)
        self._commits = Commits(self._feed)
        self._checkups = Checkups(config, self._feed)
        self._surveys = Surveys(self._launcher, self._file, config.survey_interval, self._feed)
        sources = (
            devices.samples,
            StepTimes(self._progress.steps).take,
            self.events.readings.take,
            self._starts.spares.samples,
        )
        self.signals = SignalWatch(state_dir, Journal(), devices.at, self._heard)
        devices.hear = self.signals.devices
        host = HostMonitor(config.state_dir, self.signals.counters)
        self.monitors = Monitors(config.monitor_interval, host, self._pids, sources, self._link.send)
        self._tasks: set[asyncio.Task[Any]] = set()

    async def recover(self) -> int:
        """Find the ranks of an earlier life; how many still run. Once, before `run`."""
        found = [await self._complete(seen) for seen in await self._launcher.recover()]
        await self._drills.recover()
        await self.signals.recover()
        await self.events.recover(seen.key for seen in found if seen.state is not RankState.GONE)
        for seen in found:
            self._look_at(seen)
        self._feed(core.Recovered(tuple(found)))
        await self._vaults.recover(self._jobs_here())
        alive = sum(seen.state is not RankState.GONE for seen in found)
        await self.events.say("agent.start", version=__version__, ranks_found_running=alive)
        return alive

    async def run(self, facts: NodeFacts, stop: asyncio.Event) -> None:
        """Serve the daemon and other agents until `stop`. Ranks go on after that. AddressError: it cannot."""
        self._facts = replace(facts, peer_port=await self._peers.serve())
        link = asyncio.create_task(self._link.run())
        watches = (self._watch_ranks(), self._progress.run(), self._outputs.run(), self._devices.run(self._saw_devices))
        own = (self._act(), self._tick(), self._sweep(), self._surveys.run(), self.events.run(), self.signals.run())
        renewal = (Renewal(self._config).run(),) if self._config.tls else ()
        spares = self._starts.spares.run(self._core)
        monitors = (self.monitors.run(),) if self._config.monitor_interval else ()
        tasks = [asyncio.create_task(each) for each in (*own, *renewal, spares, *watches, *monitors)]
        stopping = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait({stopping, link, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                task.result()  # none of them ends but by a fault of ours
            down = await asyncio.to_thread(going_down)
            await self.events.say("agent.exit", why="the host goes down" if down else "it was told to stop")
            self._link.leave(0.0 if down else self._config.away)
            await asyncio.wait({link}, timeout=LEAVE_S)
        finally:
            for task in (link, stopping, *tasks, *self._tasks):
                task.cancel()
            await asyncio.gather(link, stopping, *tasks, *self._tasks, return_exceptions=True)
            await self._commits.close()
            await self._checkups.close()
            await self._peers.close()
            await self._vaults.close()
            await self._launcher.close()

    # ---- the link's peer

    async def hello(self, address: str) -> Hello:
        """Say all that the daemon at an address needs to know of this node."""
        if self._facts is None:
            raise RuntimeError("run() comes before the first hello")
        self._greeted_at = lease.clock()
        facts = await asyncio.to_thread(with_addresses, self._facts, self._config, address)
        followed = self._core.followed
        return Hello(
            node=self._config.node,
            protocol_version=PROTOCOL_VERSION,
            facts=facts,
            boot_id=boot_id(),
            log_id=followed.log_id,
            position=followed.position,
            observed=self._core.observed(),
            held=followed.held,
            instance=self._instance,
        )

    def beat(self) -> Beat:
        """Say how far this node is."""
        followed = self._core.followed
        return Beat(
            applied_log_id=followed.log_id,
            applied_position=followed.position,
            observed_version=self._core.version,
            asked_at=lease.clock() if self._core.has_leases else 0.0,
        )

    def welcomed(self, hello: Hello, welcome: Welcome) -> None:
        """Take a new session."""
        self.connected = True
        notify.status("connected")
        self._progress.beat_s = welcome.beat_interval_s
        self._session_log = welcome.log_id
        self._checkups.clock_off_s, self._checkups.address = self._link.clock_off_s, hello.facts.address
        known = welcome.log_id == self._core.followed.log_id
        self._feed(core.Connected(hello.observed.version, asked_at=self._greeted_at if known else 0.0))
        self._progress.repeat()
        self.monitors.repeat()

    def received(self, message: Desired | Ack | Heard) -> None:
        """Take what the daemon says."""
        match message:
            case Desired():
                self._feed(core.DesiredArrived(message))
            case Ack():
                self._feed(core.Acked(message.observed_version))
            case Heard() if self._session_log == self._core.followed.log_id:
                self._feed(core.BeatHeard(message.asked_at))
            case Heard():
                pass  # of a daemon that does not know what runs here

    def parted(self) -> None:
        """Go on without the daemon."""
        self.connected = False
        notify.status("no daemon; ranks run on")
        self._feed(core.Disconnected())

    def logs(self, request: LogRequest) -> AsyncGenerator[LogPiece, None]:
        """Read out what is asked for."""
        return self._logs.pieces(request)

    async def stacks(self, request: StackRequest) -> Stacks:
        """Look at the ranks that are asked about."""
        return await self._stacks.take(request)

    # ---- inputs

    def _feed(self, item: core.Input) -> None:
        for action in self._core.handle(item, lease.clock()):
            self._actions.put_nowait(action)

    async def _watch_ranks(self) -> None:
        while True:
            seen = await self._complete(await self._seen.get())
            self._look_at(seen)
            known = self._core.seen(seen.key)
            if seen.exit is not None and seen.exit.signal and (known is None or known.exit is None):
                self._begin(self.events.killed(seen, seen.exit.signal))
            self._feed(core.RankChanged(seen))
            if seen.state is RankState.EXITED:
                self.events.soon()
            elif seen.state is RankState.GONE:
                self.events.ended(seen.key)
                self._devices.look_soon()
                self._begin(self._master_ports.look(seen.key))

    def _saw_devices(self, devices: tuple[DeviceObservation, ...]) -> None:
        self._feed(core.DevicesSeen(devices))

    def _heard(self, signals: tuple[Signal, ...]) -> None:
        self._feed(core.SignalsHeard(signals))

    async def _complete(self, seen: RankObservation) -> RankObservation:
        """Add the last step to a rank's end, and what kept it from saying more, before anyone hears of it."""
        if seen.exit is None:
            return seen
        known = self._core.seen(seen.key)
        if known is not None and known.exit is not None:
            step, lost = known.exit.step, known.exit.lost
        else:
            step, lost = (
                await self._progress.last_step(seen.key, patterns_of(seen.key, self._core.followed.held)),
                seen.exit.lost,
            )
            if seen.exit.signal == signal.SIGKILL and self._core.out_of_lease(seen.key, lease.clock()):
                lost = LEASE_RAN_OUT
            # Systemd sends it to all that runs when the host goes down, which is no fault of the job.
            if seen.exit.signal == signal.SIGTERM and not seen.exit.requested and await asyncio.to_thread(going_down):
                lost = SHUT_DOWN
        return replace(seen, exit=replace(await self._outputs.ended(seen.key, seen.exit), step=step, lost=lost))

    def _look_at(self, seen: RankObservation) -> None:
        if seen.state is RankState.RUNNING:
            self._progress.watch(seen.key, patterns_of(seen.key, self._core.followed.held), self._core.followed.held)
            self._outputs.watch(seen.key)

    def _running(self) -> tuple[RankKey, ...]:
        return tuple(self._pids())

    def _pids(self) -> dict[RankKey, int]:
        return {seen.key: seen.pid for seen in self._core.observed().ranks if seen.state is RankState.RUNNING}

    def _jobs_here(self) -> frozenset[int]:
        return core.jobs_here(self._core.followed.held, self._core.observed())

    def _ended(self, key: RankKey) -> bool:
        seen = self._core.seen(key)
        return seen is None or seen.state is RankState.GONE

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._feed(core.Ticked())
            self._vaults.keep(self._jobs_here())
            self._commits.attend(self._vaults.sockets())
            if self._unsaved:
                self._actions.put_nowait(core.SaveFollowed(self._core.followed))
            notify.alive()

    # ---- actions

    async def _act(self) -> None:
        while True:
            match action := await self._actions.get():
                case core.SaveFollowed():
                    self._master_ports.note(action.followed.held)
                    await self._save(action.followed)
                    self._vaults.keep(self._jobs_here())
                case core.Check():
                    self._begin(self._peers.check(action.assignment, action.spec))
                case core.CallSuspects():
                    self._peers.call(action.suspects)
                case core.AskPeer():
                    self._begin(self._peers.ask(action))
                case core.Start():
                    self._keep(self._starts.begin(action))
                case core.Renew():
                    self._begin(self._renew(action))
                case core.AskNow():
                    self._link.send(self.beat())
                case core.Stop():
                    self._begin(self._stop(action))
                case core.Tell():
                    self._begin(self._notices.tell(action))
                case core.TellSaves():
                    self._begin(self._notices.saves(action.key, action.saves))
                case core.Forget():
                    self._forget(action.key)
                case core.FindEnd():
                    self._begin(self._launcher.find_end(action.key))
                case core.EndLeft():
                    self._begin(self._end_left(action.key))
                case core.SurveyAgain():
                    self._surveys.again()
                case core.MakeCheckups():
                    self._checkups.make(action.checkups, self._core.observed().devices, busy=bool(self._pids()))
                case core.TellVault():
                    self._begin(self._commits.tell(action.verdict))
                case core.CarryOut():
                    self._begin(self._drills.carry_out(action.drill))
                case core.Reboot():
                    self._begin(reboot(action.boot))
                case core.SendObserved():
                    self._link.send(action.observed)
                case core.Reconnect():
                    await asyncio.to_thread(retention.set_aside, self._ranks_dir)
                    self._link.reconnect()
                case core.Say():
                    _log.warning(action.sentence)

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something beside the actions that follow; a fault of ours in it ends up in asyncio's log."""
        return self._keep(asyncio.create_task(work))

    def _keep(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _save(self, followed: core.Followed) -> None:
        """Keep what is followed; on a full disk go on without, since ranks matter more, and try again."""
        try:
            await asyncio.to_thread(self._file.save, followed)
            self._unsaved = False
        except OSError as error:
            if not self._unsaved:
                _log.error("what this node follows cannot be kept on disk; make room", error=str(error))
            self._unsaved = True

    async def _renew(self, action: core.Renew) -> None:
        for key, until in action.until:
            try:
                await asyncio.to_thread(lease.renew, os.fspath(self._launcher.files(key).directory), until)
            except OSError as error:
                # It has no keeper yet, and was given a lease of its own for that long; or it has ended.
                _log.debug("a lease is not renewed", rank=str(key), error=str(error))

    async def _stop(self, action: core.Stop) -> None:
        await self._starts.begun(action.key)  # else the stop would be lost
        await self._notices.before(action)
        await self._launcher.stop(action.key, action.evidence_s, action.grace_s)

    async def _end_left(self, key: RankKey) -> None:
        if await self._launcher.end_left(key):
            self._surveys.again()

    def _forget(self, key: RankKey) -> None:
        try:
            self._launcher.forget(key)
        except OSError as error:
            _log.warning("the record of a rank cannot be deleted", rank=str(key), error=str(error))

    async def _sweep(self) -> None:
        while True:
            try:
                before = time.time() - self._config.log_retention
                await asyncio.to_thread(retention.sweep, self._ranks_dir, before)
            except OSError as error:
                _log.warning("old output cannot be deleted", error=str(error))
            await asyncio.sleep(retention.SWEEP_EVERY_S)
