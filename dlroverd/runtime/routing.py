"""Which events a sink wants."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from dlroverd.model.globs import whole
from dlroverd.model.spooled import SEVERITY_RANKS, Severity
from dlroverd.model.view import EventView


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Events that have all that it names; what is empty names nothing.

    `names` and `jobs` are texts with `*` for any text, the latter a job's number or name; `severity` is the least.
    """

    names: tuple[str, ...] = ()
    severity: str = Severity.DEBUG.value
    jobs: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether it names nothing."""
        return self == Selection()

    def has(self, view: EventView, jobs: Collection[int], name_of: Callable[[int], str]) -> bool:
        """Tell whether an event, about all of `jobs`, is among them."""
        return (
            (not self.names or any(whole(pattern, view.name) for pattern in self.names))
            and SEVERITY_RANKS.get(view.severity, 0) >= SEVERITY_RANKS[self.severity]
            and (not self.kinds or view.kind in self.kinds)
            and (not self.jobs or any(self._has_job(job, name_of(job)) for job in jobs))
        )

    def _has_job(self, number: int, name: str) -> bool:
        return any(str(number) == pattern or whole(pattern, name) for pattern in self.jobs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The events of `only`, all if that is empty, but for those of `skip`."""

    only: Selection = field(default_factory=Selection)
    skip: Selection = field(default_factory=Selection)

    def takes(self, view: EventView, jobs: Collection[int], name_of: Callable[[int], str]) -> bool:
        """Tell whether the sink wants an event."""
        wanted = self.only.empty or self.only.has(view, jobs, name_of)
        return wanted and (self.skip.empty or not self.skip.has(view, jobs, name_of))
