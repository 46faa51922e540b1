"""Where the time of an incident went. Pure: the marks are facts of the log, the phases lie between them."""

from dlroverd.model.fault import Incident

# In the order of time. `unknown` is what lies in no phase.
PHASES = ("detect", "stop", "decide", "wait", "start", "load", "recompute")
UNKNOWN = "unknown"


def last_mark(incident: Incident) -> float:
    """Give the newest time that an incident got to (absolute seconds)."""
    return max(mark for mark in (incident.began_at, *_marks(incident)) if mark)


def phases(incident: Incident) -> tuple[tuple[str, int], ...]:
    """Split an incident into (phase, whole microseconds), as far as it got; `unknown` comes last.

    detect     from the first sign of the fault until the daemon knew of it
    stop       until nothing of the old world ran any more
    decide     until it was decided what follows
    wait       until there were nodes for the new world
    start      until all of its ranks ran
    load       until its first step
    recompute  until it had got to where the old world had been
    unknown    what cannot be told, as of a script whose steps are not seen

    A closed incident ends in the phase it had got to, and its parts add up to its whole time, to the microsecond. Of an
    open one the phases are given that are over.
    """
    spans: dict[str, int] = {}
    unknown = at = 0
    skipped = False
    for name, mark in zip(PHASES, _marks(incident), strict=True):
        if not mark:
            skipped = True
            continue
        reached = _offset_us(incident, mark)
        if skipped:
            unknown += reached - at
        else:
            spans[name] = reached - at
        at, skipped = reached, False
    if incident.closed_at:
        left = _offset_us(incident, incident.closed_at) - at
        name = _under_way(incident)
        if name:
            spans[name] = left
        else:
            unknown += left
    return (*spans.items(), (UNKNOWN, unknown))


def cost_node_s(incident: Incident, now: float) -> float:
    """Give what an incident cost: the nodes of its gang times its time, in node-seconds; up to `now` while it is open.

    What cannot be told is not counted.
    """
    newest = last_mark(incident)
    until = incident.closed_at or (max(now, newest) if _under_way(incident) else newest)
    return incident.nodes * (_offset_us(incident, until) - dict(phases(incident))[UNKNOWN]) / 1e6


def _under_way(incident: Incident) -> str:
    """Name the phase that follows the newest mark; "" if that cannot be told, or there is none."""
    following = ""
    for name, mark in zip(reversed(PHASES), reversed(_marks(incident)), strict=True):
        if mark:
            break
        following = name
    # A script that never showed a step may have made some since.
    return "" if following == "load" and incident.reached < 0 else following


def _marks(incident: Incident) -> tuple[float, ...]:
    return (
        incident.detected_at,
        incident.stopped_at,
        # Logs of older releases lack it: then it was decided when all had stopped.
        incident.decided_at or incident.stopped_at,
        incident.placed_at,
        incident.started_at,
        incident.stepped_at,
        incident.caught_up_at,
    )


def _offset_us(incident: Incident, mark: float) -> int:
    # Whole microseconds, since the parts are to add up.
    return round((mark - incident.began_at) * 1e6)
