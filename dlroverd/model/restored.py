"""What a restored log does not know of a job, and when it was restored."""

from enum import StrEnum


class Restored(StrEnum):
    """A job that was in a restored log: UNCONFIRMED until a node is heard to run a part of it, then FOUND."""

    UNCONFIRMED = "unconfirmed"
    FOUND = "found"
