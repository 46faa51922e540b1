"""A plugin's own process: imports it, and answers the host over the socket that is its standard input.

`python -m dlroverd.plugin_host.child PLUGIN MEMORY_BYTES HOST_PID`. Everything the plugin raises ends here and
becomes an answer. Must never outlive the host, nor be the process that the kernel spares when memory is short.
"""

import os
import socket
import sys
import traceback
from io import BufferedRWPair
from typing import NoReturn

from dlroverd.model.placement import NoFit, Placement
from dlroverd.plugin_api import EventsRefused
from dlroverd.plugin_api.device import DeviceReading
from dlroverd.plugin_api.node_check import CheckVerdict
from dlroverd.plugin_host import wire
from dlroverd.plugin_host.confine import confine
from dlroverd.plugin_host.failures import PluginError
from dlroverd.plugin_host.loading import Registered, find, load, origin, version

_SENTENCE_CHARS = 500


def main(plugin: str, memory_bytes: int, host_pid: int) -> int:
    """Load one plugin and serve it until the host closes it or goes away."""
    link = _take_link()
    confine(memory_bytes, host_pid)
    registered = _load(plugin, link)
    if registered is None:
        return 1
    for line in link:
        question = wire.decode_question(line)
        _send(link, _answer(registered, question))
        if isinstance(question, wire.Close):
            return 0
    return 0


def _take_link() -> BufferedRWPair:
    """Move the socket off descriptor 0, where a plugin that reads its standard input would find it."""
    link = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return link.makefile("rwb")


def _load(plugin: str, link: BufferedRWPair) -> Registered | None:
    try:
        entry = find(plugin)
        _send(link, wire.Found(version=version(entry), origin=origin(entry)))
        registered = load(entry)
    except BaseException as error:  # noqa: BLE001 isolation edge: importing a stranger's module raises anything
        _send(link, wire.Raised(error=_sentence(error)))
        return None
    _send(link, wire.Loaded(kinds=registered.kinds))
    return registered


def _answer(registered: Registered, question: wire.Question) -> wire.Answer:
    try:
        value = registered.call(question)
    except EventsRefused as refusal:
        return _refused(question, refusal)
    except BaseException as error:  # noqa: BLE001 isolation edge: SystemExit must not end a plugin's process
        return wire.Raised(id=question.id, error=f"{question.op}() raised {_sentence(error)}")
    if wanted := _missing(question, value):
        given = type(value).__name__
        return wire.Raised(id=question.id, error=f"{question.op}() returned {given}, where {wanted} is wanted")
    return wire.Returned(id=question.id, value=value)


def _refused(question: wire.Question, refusal: EventsRefused) -> wire.Answer:
    """Pass on which events are refused, if they are of the batch that was to be written."""
    given = {(event.position, event.index) for event in getattr(question, "batch", ())}
    strange = [key for key in refusal.refused if key not in given]
    if strange or not refusal.refused:
        what = f"{strange[0]!r}, which it was not given" if strange else "nothing"
        return wire.Raised(id=question.id, error=f"{question.op}() refused {what}"[:_SENTENCE_CHARS])
    events = tuple(
        wire.RefusedEvent(position=position, index=index, why=_line(str(why)) or "it did not say why")
        for (position, index), why in refusal.refused.items()
    )
    return wire.Refused(id=question.id, events=events)


def _missing(question: wire.Question, value: object) -> str:
    """Say what should have been returned; "" if it was."""
    match question:
        case wire.Place() if not isinstance(value, Placement | NoFit):
            return "Placement or NoFit"
        case wire.Read() if not (isinstance(value, tuple) and all(isinstance(each, DeviceReading) for each in value)):
            return "a tuple of DeviceReading"
        case wire.Check() if not isinstance(value, CheckVerdict):
            return "a CheckVerdict"
    return ""


def _send(link: BufferedRWPair, answer: wire.Answer) -> None:
    try:
        line = wire.encode_answer(answer)
        if len(line) > wire.MAX_LINE_BYTES:
            raise PluginError(f"the answer takes {len(line)} bytes, {wire.MAX_LINE_BYTES} are allowed")
    except (MemoryError, PluginError, ValueError) as error:
        line = wire.encode_answer(wire.Raised(id=getattr(answer, "id", 0), error=_sentence(error)))
    link.write(line)
    link.flush()


def _sentence(error: BaseException) -> str:
    """Say an error in one line; the traceback goes to the output, for whoever looks closer."""
    if isinstance(error, PluginError):
        text = str(error)
    else:
        traceback.print_exception(error)
        text = traceback.format_exception_only(error)[-1]
    return _line(text)


def _line(text: str) -> str:
    return " ".join(text.split()).encode(errors="replace").decode()[:_SENTENCE_CHARS]


def _run() -> NoReturn:
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))


if __name__ == "__main__":
    _run()
