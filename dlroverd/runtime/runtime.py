"""The whole behind the servers: the parts put together, started and stopped in order.

Owns what becomes of a durable batch (`_release`). Must not know gRPC, signals or systemd.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from dlroverd.core.state import State
from dlroverd.model.event import JobForgotten, StopPlanned
from dlroverd.model.input import Input
from dlroverd.model.limits import Limits
from dlroverd.model.trust_event import CertificatesRevoked, HostEnrolled
from dlroverd.model.view import EventView, SinkView
from dlroverd.plugin_host.host import PluginHost
from dlroverd.protocol.errors import CallError, Reason
from dlroverd.runtime import codec
from dlroverd.runtime.audits import Audits
from dlroverd.runtime.changes import Changes
from dlroverd.runtime.clock import Clock
from dlroverd.runtime.diagnoses import Diagnoses
from dlroverd.runtime.envelopes import Known
from dlroverd.runtime.events import jobs_of
from dlroverd.runtime.hang_signs import HangSigns
from dlroverd.runtime.hangs import HangWatch
from dlroverd.runtime.held_output import HeldOutput
from dlroverd.runtime.inbox import Inbox
from dlroverd.runtime.journal import DEFAULT_KEEP_FOR_SINKS, Journal, replay
from dlroverd.runtime.live_calls import LiveCalls
from dlroverd.runtime.loop import Batch, Loop
from dlroverd.runtime.meters import Meters
from dlroverd.runtime.output_copy import OutputCopy
from dlroverd.runtime.output_streams import OutputStreams
from dlroverd.runtime.outputs import Outputs
from dlroverd.runtime.questions import Questions
from dlroverd.runtime.redaction import Redactor
from dlroverd.runtime.sessions import Sessions
from dlroverd.runtime.sinks import Feed, SinkSettings
from dlroverd.runtime.stacks import StackRequests
from dlroverd.runtime.telemetry import Reading, TelemetryStore
from dlroverd.runtime.world_views import WorldViews
from dlroverd.store.interface import Store, StoreFull

T = TypeVar("T")

# The first fault of a daemon's life must not wait for what it is written with; neither must the start of the daemon.
_PREPARE_AFTER_S = 15.0
# A turn with more than so many nodes in it is one of many in which a world forms or ends.
_MANY = 10
_LARGE_BODY = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the runtime is told. `scheduler` is the name of a plugin.

    `output_dir` is where the newest output of ranks is held, at most `output_bytes` of it. What a sink can never have
    is put into `letters_dir`; no reader of events sees the texts of `redact`.
    """

    limits: Limits
    output_dir: Path
    output_bytes: int
    scheduler: str
    letters_dir: Path
    sinks: Sequence[SinkSettings] = ()
    redact: Sequence[str] = ()
    snapshot_every: int = 10_000
    keep_records: int = 100_000
    telemetry_bytes: int = 1024**3
    keep_for_sinks: int = DEFAULT_KEEP_FOR_SINKS


class Runtime:
    """Everything a daemon does that is not its process or its sockets."""

    def __init__(
        self, store: Store, host: PluginHost, settings: Settings, turned: Callable[[], None] = lambda: None
    ) -> None:
        """Read the log; needs a running loop. `turned` is called after each turn, and at least once a second.

        Raises:
            StoreUnreadable: a newer release wrote some of the log, or it is damaged.
        """
        self.state: State = replay(store)
        self.clock = Clock(self.state.m.now)
        self.host = host
        self.limits = settings.limits
        self.inbox, self.changes, self.live_calls = Inbox(), Changes(), LiveCalls()
        self.journal = Journal(
            store,
            snapshot_every=settings.snapshot_every,
            keep_records=settings.keep_records,
            readers=[sink.name for sink in settings.sinks],
            keep_for_sinks=settings.keep_for_sinks,
        )
        self._redactor = Redactor(settings.redact)
        self.sessions = Sessions(self.state, self.inbox, settings.limits.unreachable_after_s)
        self.telemetry = TelemetryStore(settings.telemetry_bytes)
        self.meters, self.streams = Meters(), OutputStreams()
        self.stacks = StackRequests(self.state, self.sessions)
        self.hangs = HangWatch(
            state=self.state,
            inbox=self.inbox,
            stacks=self.stacks,
            signs=HangSigns(self.state, self.telemetry, self.clock),
            limits=settings.limits,
            beat_s=self.sessions.beat_interval_s,
        )
        held = HeldOutput(settings.output_dir, settings.output_bytes)
        self.outputs = Outputs(self.state, self.sessions, self.changes, self.streams, held)
        self._copy = OutputCopy(self.sessions, self.streams, held)
        self.loop = Loop(
            state=self.state,
            journal=self.journal,
            inbox=self.inbox,
            clock=self.clock,
            limits=settings.limits,
            release=self._release,
            turned=turned,
            meters=self.meters,
        )
        self.audits = Audits(self.loop, self.sessions, self.inbox, settings.limits.audit_interval_s)
        self._questions = Questions(self.state, self.inbox, host, settings.scheduler, settings.limits)
        views = WorldViews(self.state, self.telemetry, self.sessions.steps)
        self._diagnoses = Diagnoses(
            state=self.state,
            inbox=self.inbox,
            host=host,
            views=views,
            clock=self.clock,
            limits=settings.limits.diagnosis,
        )
        self._to_save: asyncio.Queue[tuple[int, codec.Tables]] = asyncio.Queue(1)
        self.known = Known(store.log_id, self.state.nodes)
        self._feeds = {sink.name: self._feed(sink, settings.letters_dir) for sink in settings.sinks}

    async def run(self) -> None:
        """Work until `stop`; StoreNotWritable, in a group, when the disk fails."""
        await self.host.start()
        for job in sorted(self.state.placing):  # asked by the daemon before this one
            self._questions.ask(job)
        async with asyncio.TaskGroup() as group:
            background = [
                group.create_task(work, name=name)
                for name, work in (
                    ("watch", self.sessions.watch()),
                    ("audits", self.audits.run()),
                    ("diagnoses", self._diagnoses.run()),
                    ("hangs", self.hangs.run()),
                    ("reserve", self.loop.keep_reserve()),
                    ("snapshots", self._snapshots()),
                    ("codec", _prepare_codec()),
                    *((f"sink {feed.name}", feed.run()) for feed in self._feeds.values()),
                )
            ]
            try:
                await self.loop.run()
            finally:
                for task in background:
                    task.cancel()

    def decide_by(self, limits: Limits) -> None:
        """Have other limits count from the next turn on; how silence and audits are timed stays as it began."""
        self.limits = self.loop.limits = limits
        self._questions.limits = limits

    def stop(self) -> None:
        """Have `run` return soon; whatever ranks run goes on."""
        self.loop.stop()

    async def close(self) -> None:
        """Let go of everything, once nobody is served any more."""
        await self.host.close()
        for feed in self._feeds.values():
            feed.close()
        await self._copy.close()
        await self.journal.close()

    async def ask(self, item: Input) -> int:
        """Have a request decided and made durable; gives the job it is about (see `Inbox.ask`)."""
        if self.journal.full:
            raise CallError(Reason.STORAGE_LOW, f"Nothing can be accepted now: {self.journal.full}.")
        return await self.inbox.ask(item)

    def owner_of(self, job: int) -> int | None:
        """Give the uid of the user whose job that is; None if there is none such."""
        record = self.state.jobs.get(job)
        return record.spec.user.uid if record is not None else None

    def take_telemetry(self, node: str, at: float, readings: Iterable[Reading]) -> None:
        """Take what the agent of a node that is known read at `at`, by its own clock."""
        if node in self.state.nodes:
            self.telemetry.take(node, at, readings, self.clock.now())

    async def shown(self, event: EventView) -> EventView:
        """Give an event as its readers see it, without secrets; a large one is looked through off the loop."""
        if len(event.body) < _LARGE_BODY:
            return self._redactor.view(event)
        return await asyncio.to_thread(self._redactor.view, event)

    async def redacted(self, text: str, *, json: bool) -> str:
        """Give a text, or a JSON document, without secrets; it is looked through off the loop."""
        return await asyncio.to_thread(self._redactor.document if json else self._redactor.text, text)

    def sinks(self) -> tuple[SinkView, ...]:
        """Give all sinks in the order of the configuration, and how far each is."""
        plugins = {plugin.name: plugin for plugin in self.host.inventory()}
        now = self.clock.now()
        return tuple(feed.view(now, plugins[name]) for name, feed in self._feeds.items() if name in plugins)

    async def move_sink(self, name: str, position: int, request_id: str) -> None:
        """Have a sink go on with the record at `position`, back or ahead. Raises CallError if that cannot be."""
        if name not in self._feeds:
            known = f"there are {', '.join(self._feeds)}" if self._feeds else "the daemon has none"
            raise CallError(Reason.NOT_FOUND, f"There is no sink {name:.63}; {known}.")
        oldest, newest = self.journal.oldest, self.journal.position
        if not oldest <= position <= newest + 1:
            raise CallError(
                Reason.INVALID, f"The log holds records {oldest} to {newest}: name one of them, or oldest, or now."
            )
        try:
            await self._feeds[name].move(position - 1, request_id)
        except StoreFull as error:
            raise CallError(Reason.STORAGE_LOW, f"{error}.") from error

    async def follow(self, job: int, at: Callable[[State], T | None]) -> AsyncIterator[T]:
        """Give what `at` makes of the state, now and at each change of a job, until it makes None of it."""
        with self.changes.follow(job) as wake:
            while (seen := await self.loop.look(at)) is not None:
                yield seen
                await wake.wait()
                wake.clear()

    def _feed(self, sink: SinkSettings, letters: Path) -> Feed:
        jobs = self.state.jobs
        return Feed(
            sink,
            self.journal,
            self.changes,
            self.host,
            self.known,
            letters=letters,
            redactor=self._redactor,
            job_name=lambda job: record.spec.name if (record := jobs.get(job)) is not None else "",
        )

    async def _snapshots(self) -> None:
        while True:
            await self.journal.snapshot(*await self._to_save.get())

    def _release(self, batch: Batch) -> None:
        if len(batch.answers) + len(batch.desired) > _MANY:
            self._copy.busy()
        for node, wanted in batch.desired:
            self.sessions.deliver(node, wanted)
            self._copy.run_on(node, wanted.assignments)
        for entry, answer in batch.answers:
            entry.done(answer)
        for decision in batch.decisions:
            for job in decision.questions:
                self._questions.ask(job)
        events = batch.events
        self.meters.count(events)
        for event in events:
            if isinstance(event, JobForgotten):
                self.sessions.steps.forget(event.job)
                self.telemetry.forget(event.job)
                self.hangs.forget(event.job)
                self._copy.forget(event.job)
            elif isinstance(event, StopPlanned):
                self.sessions.steps.planned(event.job)
            elif isinstance(event, CertificatesRevoked | HostEnrolled) and event.valid_after:
                self.live_calls.end(event.node)
        if events:
            self.changes.publish({job for event in events for job in jobs_of(event)})
        # Copied here and now: before the next turn begins, the state is as durable as the log.
        if self.journal.snapshot_due() and self._to_save.empty():
            self._to_save.put_nowait((self.state.m.position, codec.tables_of(self.state)))


async def _prepare_codec() -> None:
    await asyncio.sleep(_PREPARE_AFTER_S)
    await asyncio.to_thread(codec.EVENTS.prepare)
    await asyncio.to_thread(codec.INPUTS.prepare)
