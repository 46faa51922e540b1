"""Which running jobs make room for one of higher priority: the built-in rule."""

from collections.abc import Sequence

from dlroverd.model.free_index import FreeIndex
from dlroverd.model.place import place
from dlroverd.model.placement import NoFit, Placement, PlacementRequest, Preempt, RunningJob


def place_or_preempt(
    index: FreeIndex, request: PlacementRequest, running: Sequence[RunningJob]
) -> Placement | NoFit | Preempt:
    """Place a request; where there is no room, choose who makes it. NoFit says what is missing."""
    answer = place(index, request)
    if isinstance(answer, Placement) or not running:
        return answer
    instead = choose_victims(index, request, running)
    if isinstance(instead, Preempt):
        return instead
    return NoFit(reason=f"{answer.reason}; {instead.reason}" if instead.reason else answer.reason)


def choose_victims(index: FreeIndex, request: PlacementRequest, running: Sequence[RunningJob]) -> Preempt | NoFit:
    """Choose jobs to stop so that a request fits: those of the lowest priority first, of these the newest.

    Jobs that are leaving already count as gone, and protected ones are left. No job is chosen without which the
    request fits too. NoFit if stopping all of them would not help, or if what is leaving suffices. `index` is as before
    when this returns.
    """
    leaving = [job for job in running if job.leaving]
    could = [job for job in running if not job.leaving and not job.protected]
    order = sorted(could, key=lambda job: (job.priority, -job.since, -job.job))
    if _fits_without(index, request, leaving):
        return NoFit(reason=f"waits for {_named(leaving)} to make room")
    if not order or not _fits_without(index, request, [*leaving, *order]):
        later = [job for job in running if job.protected and not job.leaving]
        if later and _fits_without(index, request, [*leaving, *order, *later]):
            return NoFit(reason=f"{_named(later)} of lower priority cannot be asked to make room again yet")
        return NoFit(reason="")
    low, high = 1, len(order)
    while low < high:  # the fewest of the first ones that suffice
        middle = (low + high) // 2
        if _fits_without(index, request, [*leaving, *order[:middle]]):
            high = middle
        else:
            low = middle + 1
    chosen = order[:low]
    for job in chosen[:-1]:
        fewer = [other for other in chosen if other is not job]
        if _fits_without(index, request, [*leaving, *fewer]):
            chosen = fewer
    return Preempt(jobs=tuple(sorted(job.job for job in chosen)))


def _fits_without(index: FreeIndex, request: PlacementRequest, gone: Sequence[RunningJob]) -> bool:
    before: dict[str, int] = {}
    for job in gone:
        for node, slots in job.slots:
            free = index.free(node)
            if free is not None:
                before.setdefault(node, free)
                index.set(node, free + slots)
    try:
        return not isinstance(place(index, request), NoFit)
    finally:
        for node, free in before.items():
            index.set(node, free)


def _named(jobs: Sequence[RunningJob]) -> str:
    return ("job " if len(jobs) == 1 else "jobs ") + ", ".join(str(job.job) for job in jobs)
