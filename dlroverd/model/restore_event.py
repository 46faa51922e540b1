"""The facts of a log that was restored from a copy; the others, and what all have in common, are in event.py."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRestored:
    """This log goes on from an older copy, in place of the logs `ancestors`, whose followers it takes in.

    What happened after `taken_at` is not in it. No job since then may have a number from `next_job` on.
    """

    ancestors: tuple[str, ...]
    taken_at: float
    next_job: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobUnconfirmed:
    """Nothing is known any more of what runs of a job; `rounds` is how many its gangs may have had meanwhile."""

    job: int
    rounds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFound:
    """A job of a restored log was found running; its gangs are what nodes say that they run of it."""

    job: int
    node: str
