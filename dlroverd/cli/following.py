"""Following one job to its end: its states, its output, and the signals that reach us meanwhile."""

import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from dlroverd.cli.endings import CommandError
from dlroverd.cli.output import notice
from dlroverd.cli.sentences import FINAL_STATES

if TYPE_CHECKING:
    from dlroverd.client import Client
    from dlroverd.model.ids import RankKey
    from dlroverd.model.view import JobView, LogChunk
    from dlroverd.protocol.messages import LogFailed

T = TypeVar("T")

# How long a daemon that went away may take to be back, and how long output may trail the job's end.
_DAEMON_AWAY_S = 60.0
_OUTPUT_TRAILS_S = 10.0
_ASK_AGAIN_S = 0.2


@dataclass(frozen=True, slots=True)
class Signalled:
    """A signal came."""

    number: int


class _OutputEnded:
    """All output has been read."""


Inbox = queue.SimpleQueue[Any]


@contextmanager
def signals() -> Iterator[Inbox]:
    """Have INT and TERM put into a queue as `Signalled` for as long as the context lasts."""
    inbox: Inbox = queue.SimpleQueue()  # the one queue that a signal handler may put into

    def arrived(number: int, _: FrameType | None) -> None:
        inbox.put(Signalled(number))

    before = {number: signal.signal(number, arrived) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield inbox
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def follow(
    client: "Client",
    job: int,
    inbox: Inbox,
    *,
    on_view: Callable[["JobView"], None],
    on_chunk: Callable[["LogChunk"], None] | None,
    on_signal: Callable[[int], None],
) -> "JobView":
    """Follow a job until it is over and its output read, and give its last view.

    `on_view` and `on_signal` are called in this thread; what they raise ends the following. `on_chunk` is called in
    one of its own, so that output that is read slowly delays nothing; without it no output is asked for.
    """
    _start(inbox, lambda: wait(client, job, inbox.put))
    trailing = on_chunk is not None
    if on_chunk is not None:
        _start(inbox, lambda: _output(client, job, inbox, on_chunk))
    last: JobView | None = None
    while True:
        if last is not None and not trailing:
            return last
        try:
            item = inbox.get(timeout=_OUTPUT_TRAILS_S if last is not None else None)
        except queue.Empty:
            notice("the last of the output could not be had in time; see `dlroverctl logs`")
            trailing = False
            continue
        match item:
            case Signalled():
                on_signal(item.number)
            case _OutputEnded():
                trailing = False
            case Exception():
                raise item
            case _:
                on_view(item)
                last = item if item.state in FINAL_STATES else None


def _start(inbox: Inbox, work: Callable[[], object]) -> None:
    def guarded() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - carried to the thread that waits, which raises it
            inbox.put(error)

    threading.Thread(target=guarded, daemon=True).start()


def wait(client: "Client", job: int, on_view: Callable[["JobView"], None]) -> "JobView":
    """Hand on a job's views until it is over, and give the last one."""
    for view in asked_again(partial(client.watch, job)):
        on_view(view)
        if view.state in FINAL_STATES:
            return view
    raise CommandError(f"The daemon ended the answer about job {job} before the job's end; ask again.")


def _output(client: "Client", job: int, inbox: Inbox, on_chunk: Callable[["LogChunk"], None]) -> None:
    read_output(job, lambda known: client.logs(job, follow=True, known=known), on_chunk, follow=True)
    inbox.put(_OutputEnded())


def read_output(
    job: int,
    ask: "Callable[[dict[RankKey, int]], Iterator[LogChunk | LogFailed]]",
    on_chunk: Callable[["LogChunk"], None],
    *,
    follow: bool,
) -> bool:
    """Hand on the output that `ask` gives, each rank's in order; False if some of it could not be had, which is said.

    `ask` is told how much of which ranks was read: when following, it is asked again after the daemon was away.
    """
    from dlroverd.model.ids import RankKey
    from dlroverd.model.view import LogChunk

    read = _Read()
    complete = True
    for piece in asked_again(lambda: ask(read.known())) if follow else ask({}):
        if not isinstance(piece, LogChunk):
            notice(piece.sentence)
            complete = complete and piece.passing
            continue
        new = read.take(RankKey(job, piece.role, piece.gang, piece.round, piece.rank), piece)
        if new.data or new.eof:
            on_chunk(new)
    return complete


class _Read:
    """How much of each rank's output was read."""

    def __init__(self) -> None:
        self._offsets: dict[RankKey, int] = {}
        self._over: set[RankKey] = set()

    def take(self, key: "RankKey", piece: "LogChunk") -> "LogChunk":
        """Note a piece; what is new of it."""
        # A daemon of an older version begins anew: what is known by its offset is skipped.
        known = min(max(0, self._offsets.get(key, 0) - piece.offset), len(piece.data))
        self._offsets[key] = max(self._offsets.get(key, 0), piece.offset + len(piece.data))
        if piece.eof:
            self._over.add(key)
        return _from(piece, known)

    def known(self) -> "dict[RankKey, int]":
        """Say where to go on: with what has not ended, and in any case with the newest round."""
        newest = {key.gang_key: key.round for key in sorted(self._offsets)}
        return {
            key: offset
            for key, offset in self._offsets.items()
            if key not in self._over or key.round == newest[key.gang_key]
        }


def _from(piece: "LogChunk", known: int) -> "LogChunk":
    from dataclasses import replace

    return replace(piece, offset=piece.offset + known, data=piece.data[known:]) if known else piece


def asked_again(call: Callable[[], Iterator[T]]) -> Iterator[T]:
    """Give what a following call gives; while the daemon is away, ask it again for up to a minute."""
    from dlroverd.protocol.errors import CallError, Reason

    away_since: float | None = None
    while True:
        try:
            for item in call():
                away_since = None
                yield item
            return
        except CallError as error:
            now = time.monotonic()
            away_since = away_since or now
            if error.reason is not Reason.UNAVAILABLE or now - away_since > _DAEMON_AWAY_S:
                raise
        time.sleep(_ASK_AGAIN_S)
