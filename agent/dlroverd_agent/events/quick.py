"""Reads what a training says at every step, as dlroverd_train writes it, without making an event of each line.

A rank that says each step with a gauge writes hundreds of such lines a second, beside ranks that want the processor.
Whatever is not exactly so is for `lines.parse`, which must come to the same.
"""

import re

from dlroverd.model.spooled import EventKind
from dlroverd_agent.events.readings import Reading

_WORD = rb"[A-Za-z0-9_-]{1,64}"
_ID = rb"[A-Za-z0-9_.:-]{1,64}"
_WHOLE = rb"(?:0|[1-9][0-9]{0,14})"
_LINE = re.compile(
    rb'\{"n":"(?:(trainer\.(?:step|substep|predict_step))","k":"([be])|(user\.' + _WORD + rb')","k":"g)"'
    rb'(?:,"sp":"(' + _ID + rb')")?(?:,"pa":"' + _ID + rb'")?'
    rb',"t":' + _WHOLE + rb'\.[0-9]{6},"m":(' + _WHOLE + rb'\.[0-9]{6}),"p":' + _WHOLE + rb',"b":'
    rb'\{(?:"step":' + _WHOLE + rb'|"value":(-?' + _WHOLE + rb"(?:\.[0-9]{1,20})?(?:e[+-]?[0-9]{1,2})?))?\}\}"
)
_KINDS = {b"b": EventKind.BEGIN, b"e": EventKind.END}


def quick(line: bytes) -> Reading | None:
    """Read a line of a step or of a gauge; None if it is anything else."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    step, kind, gauge, span, at, value = found.groups()
    return Reading(
        (step or gauge).decode(),
        _KINDS[kind] if step else EventKind.GAUGE,
        span.decode() if span else "",
        float(at),
        float(value) if value else None,
    )
