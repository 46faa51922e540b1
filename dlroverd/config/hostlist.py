"""Many nodes in few characters, as Slurm writes them: `n[001-016,020]`, `r[1-2]n[1-8]`, `n1,n2`."""

import re
from itertools import product

from dlroverd.config.durations import shown

MAX_NAMES = 100_000
_RANGES = r"[0-9]{1,9}(?:-[0-9]{1,9})?(?:,[0-9]{1,9}(?:-[0-9]{1,9})?)*"
_NAME = re.compile(rf"(?:[A-Za-z0-9._-]|\[{_RANGES}\])+")
_PART = re.compile(rf"([A-Za-z0-9._-]+)|\[({_RANGES})\]")


def expand(text: str) -> list[str]:
    """Write every name out, in the order given; ValueError with a sentence if it is no list of names."""
    names: list[str] = []
    for one in re.split(r",(?![^\[]*\])", text):
        if not _NAME.fullmatch(one):
            raise ValueError(f"must be names of nodes, such as n1 or n[001-016,020] or n1,n2, not {shown(text)}")
        parts = [[plain] if plain else _numbers(ranges) for plain, ranges in _PART.findall(one)]
        total = 1
        for part in parts:
            total *= len(part)
        if total + len(names) > MAX_NAMES:
            raise ValueError(f"{shown(text)} is more than {MAX_NAMES} nodes; shorten its ranges")
        names += map("".join, product(*parts))
    return names


def _numbers(ranges: str) -> list[str]:
    """Write out `001-016,020`; a first number with zeros before it gives the width of all in its range."""
    numbers: list[str] = []
    for each in ranges.split(","):
        low, _, high = each.partition("-")
        high = high or low
        if int(low) > int(high):
            raise ValueError(f"the range {each} runs backwards; write {high}-{low}")
        if int(high) - int(low) >= MAX_NAMES:
            raise ValueError(f"the range {each} is more than {MAX_NAMES} nodes; shorten it")
        width = len(low) if low.startswith("0") else 0
        numbers += [str(number).zfill(width) for number in range(int(low), int(high) + 1)]
    return numbers
