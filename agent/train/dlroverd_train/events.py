"""What a training says of itself: moments (`instant`), and what takes a while (`begin` and `end`, or `with span(...)`).

In a rank they go to its agent, which forwards them to the daemon's log; elsewhere to the file given to `to_file`, or
nowhere. Nothing here raises, waits, or changes how the process ends. A process that is forked goes on with its own
pid and spans of its own.

Names of your own become `user.<name>`. A body is a dict that JSON can hold; what it cannot hold becomes text.
"""

from __future__ import annotations

import atexit
import itertools
import os
import sys
from contextvars import ContextVar
from time import monotonic
from types import TracebackType
from typing import Any

from . import _line
from ._deaths import described, watch
from ._file import EventsFile
from ._phase import OF_SPANS, enter
from ._progress import progress
from ._telemetry import Telemetry

VOCABULARY = frozenset(
    f"trainer.{name}"
    for name in (
        *("start", "init", "load_ckpt", "load_dataset", "train", "epoch", "step", "substep", "evaluate", "predict"),
        *("predict_step", "save", "persist_ckpt", "log", "finish", "warning", "exception", "steps", "work"),
    )
)
BAD_NAME, BAD_BODY = "a name that no event may have", "a body that could not be written"
_MOST_HEADS = 1024


class _Process:
    """What differs from one process to the next: its pid, and what the ids of its spans begin with."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.prefix = os.urandom(8).hex()
        self.spans = itertools.count(1)
        self.part = f',"p":{os.getpid()}'


class Span:
    """Something that takes a while, begun. It ends once: whoever says so first, in the process that began it.

    As a context manager it ends with what is inside it, with severity `error` if that raises. What is said before its
    end, in the same thread or asyncio task or in a task made there, is inside it.
    """

    __slots__ = ("_head", "_id", "_outer", "_phase", "_process", "_step")
    _id: str

    def __init__(self, name: str, body: dict[str, Any] | None, step: int | None = None) -> None:
        """Begin it. A `step` is progress at its end."""
        self._head = _head(name)
        self._step = step
        self._enter()
        # What was before it comes back at its end: spans of two threads that overlap are not worth more care.
        self._phase = enter(OF_SPANS[name]) if isinstance(name, str) and name in OF_SPANS else ""
        _say(self._head, f',"k":"b"{self._ids()}', body)
        if _telemetry.waits():  # nothing may be said for long now
            _telemetry.flush(monotonic())

    @property
    def id(self) -> str:
        """What tells it from all other spans."""
        if not self._id:
            self._id = f"{_process.prefix}-{next(_process.spans):x}"
        return self._id

    def _enter(self) -> None:
        self._id, self._phase = "", ""
        self._outer = _innermost()
        self._process = [_process.prefix]  # emptied by its end: only one thread can do that
        _inside.set(self)

    def end(self, body: dict[str, Any] | None = None, *, severity: str = "info") -> None:
        """Say that it is over. Does nothing the second time, nor in a forked child: there its parent's goes on."""
        if self._process != [_process.prefix]:
            return
        try:
            self._process.pop()
        except IndexError:
            return  # another thread was first
        if _inside.get() is self:
            _inside.set(self._outer)
        if self._phase:
            enter(self._phase)
        self._say_end(body, severity)

    def _say_end(self, body: dict[str, Any] | None, severity: str) -> None:
        if self._step is not None and severity != "error":
            progress(self._step)
        _say(self._head, f',"k":"e"{_severity(severity)}{self._ids()}', body)

    def __enter__(self) -> Span:  # noqa: PYI034 - Self is of Python 3.11
        """Give the span itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it; an exception goes on its way."""
        if error is None or isinstance(error, GeneratorExit) or (isinstance(error, SystemExit) and not error.code):
            self.end()
        else:
            self.end(described(error), severity="error")

    def _ids(self) -> str:
        return f',"sp":"{self.id}"{_inside_of(self._outer)}'


class _Step(Span):
    """A training step that an agent is told of, which wants to know no more than how long it took."""

    __slots__ = ("_began",)

    def __init__(self, step: int) -> None:
        self._step = step
        self._enter()
        self._began = monotonic()

    def _say_end(self, body: dict[str, Any] | None, severity: str) -> None:
        del body
        if severity != "error" and self._step is not None:
            now = monotonic()
            progress(self._step)
            _telemetry.step(now - self._began, now)


def instant(name: str, body: dict[str, Any] | None = None, *, severity: str = "info") -> None:
    """Say that something happened. `severity` is debug, info, warning, error or critical."""
    _say(_head(name), _severity(severity) + _inside_of(_innermost()), body)


def gauge(name: str, value: float) -> None:
    """Give a reading of your own, such as a loss. It is telemetry: the newest counts, and none enters the log."""
    if _out.is_agents and type(value) in _NUMBERS and _head(name):
        _telemetry.gauge(name, value, monotonic())
    else:
        reading(name, {"value": value})


def begin(name: str, body: dict[str, Any] | None = None) -> Span:
    """Say that something begins; `end` of what is returned says that it is over."""
    return Span(name, body)


def span(name: str, **body: Any) -> Span:
    """Say that something begins, for a `with` statement."""
    return Span(name, body)


def start(**params: Any) -> None:
    """Say that the training program began, with its parameters."""
    instant("trainer.start", params)


def init(**body: Any) -> Span:
    """Begin its preparations."""
    return Span("trainer.init", body)


def load_ckpt(**body: Any) -> Span:
    """Begin to load a checkpoint."""
    return Span("trainer.load_ckpt", body)


def load_dataset(**body: Any) -> Span:
    """Begin to load the data."""
    return Span("trainer.load_dataset", body)


def train(**body: Any) -> Span:
    """Begin to train."""
    return Span("trainer.train", body)


def epoch(epoch: int, **body: Any) -> Span:
    """Begin an epoch."""
    return Span("trainer.epoch", {"epoch": epoch, **body})


def step(step: int, **body: Any) -> Span:
    """Begin a training step. Its end, unless by an exception, is progress: `dlroverd_train.progress(step)`.

    An agent is told how long steps take; in a file of your own (`to_file`) each is there with its body.
    """
    return _Step(step) if _out.is_agents else Span("trainer.step", {"step": step, **body}, step)


def substep(**body: Any) -> None:
    """Say that a part of a step is done, such as one micro-batch."""
    instant("trainer.substep", body)


def evaluate(**body: Any) -> Span:
    """Begin to evaluate the model."""
    return Span("trainer.evaluate", body)


def predict(**body: Any) -> Span:
    """Begin to predict."""
    return Span("trainer.predict", body)


def predict_step(**body: Any) -> None:
    """Say that a step of the prediction is done."""
    instant("trainer.predict_step", body)


def save(step: int, **body: Any) -> Span:
    """Begin to save the checkpoint of a step; training waits for it."""
    return Span("trainer.save", {"step": step, **body})


def persist_ckpt(step: int, path: str = "", size: int = 0, **body: Any) -> Span:
    """Begin to write a checkpoint, saved elsewhere first, to where it lasts; `size` is in bytes."""
    return Span("trainer.persist_ckpt", {"step": step, "path": path, "size": size, **body})


def log(logs: dict[str, Any]) -> None:
    """Say what the training logs: names and values, such as loss and learning rate."""
    instant("trainer.log", {"logs": logs})


def finish(**body: Any) -> None:
    """Say that the training program is done."""
    instant("trainer.finish", body)


def warning(msg: str, warning_type: str = "") -> None:
    """Say that something is not as it should be."""
    instant("trainer.warning", {"msg": msg, "warning_type": warning_type}, severity="warning")


def install() -> None:
    """Have exceptions that nothing catches said (`trainer.exception`), and the stacks of a crash written to stderr.

    How the process ends, and what it prints of an exception, stays as it is. The second call does nothing.
    """
    global _installed  # noqa: PLW0603 - one process, one set of hooks
    if not _installed:
        _installed = True
        watch(lambda body: instant("trainer.exception", body, severity="error"))


def to_file(path: str) -> None:
    """Write events to this file from now on, rather than to the one that the agent named; to none if it is ""."""
    _telemetry.flush()
    _out.to(os.fspath(path))


def dropped() -> int:
    """Count the events of this process that could not be written. The agent is told of them as soon as one can."""
    return _out.dropped


def shortened() -> int:
    """Count the bodies of this process that were too large, and were cut."""
    return _out.cut


def _say(head: str, ids: str, body: dict[str, Any] | None) -> None:
    if not _out.is_open():
        return
    try:
        if not head:
            _out.drop(BAD_NAME)
            return
        text, cut = _line.encoded(body) if body is not None else ("{}", False)
        if cut:
            _out.shortened()
        _out.write(_line.line(head, ids, _process.part, text))
    except Exception:  # noqa: BLE001 - a training is never disturbed by what it says
        _out.drop(BAD_BODY)


def reading(name: str, body: dict[str, Any]) -> None:
    """Write a gauge with all of its body, now."""
    _say(_head(name), ',"k":"g"', body)


def _head(name: str) -> str:
    """Begin the line of an event: "" for a name that none may have, of which the first is complained of."""
    try:
        return _heads[name]
    except (KeyError, TypeError):
        pass  # a new one, or no text
    try:
        head = _line.head(name if name in VOCABULARY or name.startswith("user.") else f"user.{name}")
    except (ValueError, AttributeError, TypeError):
        most = _line.MOST_NAME
        _complain(f"{_line.described(name)} cannot name an event: use letters, digits, _, - and ., at most {most}")
        return ""
    if len(_heads) < _MOST_HEADS:
        _heads[name] = head
    return head


def _severity(word: str) -> str:
    try:
        return _line.SEVERITIES[word]
    except (KeyError, TypeError):
        _complain(f"{_line.described(word)} is no severity, info is taken: use {', '.join(_line.SEVERITIES)}")
        return ""


def _innermost() -> Span | None:
    """Find the span around what is said now."""
    around = _inside.get()
    while around is not None and not around._process:  # noqa: SLF001 - ended, maybe by another thread
        around = around._outer  # noqa: SLF001 - of a span of our own
    return around


def _inside_of(outer: Span | None) -> str:
    return f',"pa":"{outer.id}"' if outer is not None else ""


def _complain(sentence: str) -> None:
    """Say what is wrong on stderr, the first time that anything is."""
    global _complained  # noqa: PLW0603 - once per process
    if _complained:
        return
    _complained = True
    try:
        sys.stderr.write(f"dlroverd_train.events: {sentence} (said once; dropped() counts)\n")
    except Exception:  # noqa: BLE001 - stderr is closed, or a user's own
        return


def _dropped_line(count: int, why: str) -> bytes:
    body, _ = _line.encoded({"count": count, "why": why})
    return _line.line(_line.head("trainer.events_dropped"), ',"s":"warning"', _process.part, body)


def _forked() -> None:
    _process.begin()
    _telemetry.begin()
    _out.forked()


_process = _Process()
_out = EventsFile(_dropped_line)
_telemetry = Telemetry(reading)
_NUMBERS = (int, float)
_inside: ContextVar[Span | None] = ContextVar("dlroverd_span", default=None)
_heads: dict[str, str] = {}
_installed = _complained = False
os.register_at_fork(after_in_child=_forked)
atexit.register(_out.tell)
atexit.register(_telemetry.flush)
