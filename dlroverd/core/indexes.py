"""Small indexes over the tables of the state. A key of which there is nothing is not in them."""

from collections import Counter
from typing import Any


def add(counter: Counter[Any], key: Any, more: int) -> None:
    """Add to what is counted; nothing is kept of what is not there any more."""
    if sum_ := counter[key] + more:
        counter[key] = sum_
    else:
        counter.pop(key, None)


def tally(index: dict[Any, Counter[Any]], key: Any, what: Any, more: int) -> None:
    """Add to one of a key's counts."""
    counter = index.get(key)
    if counter is None:
        counter = index[key] = Counter()
    add(counter, what, more)
    if not counter:
        del index[key]


def enrol(index: dict[Any, set[Any]], key: Any, member: Any, *, present: bool) -> None:
    """Put a member into a key's set, or take it out."""
    members = index.setdefault(key, set())
    if present:
        members.add(member)
    else:
        members.discard(member)
    if not members:
        del index[key]
