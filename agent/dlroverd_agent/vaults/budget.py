"""Whether a host has the memory that a job asks for."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

from dlroverd.model.explain import size_phrase
from dlroverd.model.fault import CHECKPOINT_MEMORY


def available(vaults: Iterable[int]) -> int:
    """Give the bytes that this host has for programs, with what the vaults of these pids have of it. Blocking."""
    return int(psutil.virtual_memory().available) + sum(map(_shared, vaults))


def shortage(node: str, asked: int, limits: int, others: Mapping[int, int], available: int) -> str:
    """Say why `asked` bytes of checkpoint memory do not fit, and what would; "" if they do.

    `limits` are those of the job's ranks on this node, `others` what is set aside for other jobs.
    """
    taken = sum(others.values())
    if asked + limits <= available - taken:
        return ""
    parts = [f"{size_phrase(available)} are available"]
    if taken:
        jobs = ", ".join(map(str, sorted(others)))
        parts.append(f"{size_phrase(taken)} of them set aside for job{'s' if len(others) > 1 else ''} {jobs}")
    if limits:
        parts.append(f"{size_phrase(limits)} the limit of its ranks")
    most = available - taken - limits
    less = f"ask for at most {size_phrase(most)}"
    remedy = less if most >= 1 << 20 else "ask for other nodes, or wait for what runs there"
    return f"{CHECKPOINT_MEMORY} of {size_phrase(asked)} does not fit on {node}: {', '.join(parts)}; {remedy}"


def _shared(pid: int) -> int:
    """Give the bytes of shared memory that a process has brought in; 0 if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssShmem:"))
