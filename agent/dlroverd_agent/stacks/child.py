"""The process that looks at ranks, since a look may never return: a rank that is stuck in the kernel, a broken disk.

`python -m dlroverd_agent.stacks.child AGENT_PID` reads one line on its standard input: the pids of ranks by name, with
where each may be asked for more, and how to look. It writes a line for each rank as soon as it is done; all
JSON. It ends then: each request has its own.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from threading import Lock

from dlroverd.model.stacks import GroupPosition, ProcessStack
from dlroverd.plugin_host.confine import confine
from dlroverd_agent.stacks.look import STILL, Look, children, compared, look, python_in
from dlroverd_agent.stacks.recorder import positions

# py-spy reads the symbols of torch's libraries; how much that takes has been below 1 GiB.
_MEMORY_BYTES = 16 * 1024**3
_MOST_AT_ONCE = 8
_MOST_CHILDREN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A rank to look at: its main process, where that writes its stack, and where it says how far it is."""

    pid: int
    stacks: str
    recorder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen of it, as in `RankStack`."""

    name: str
    processes: tuple[ProcessStack, ...]
    positions: tuple[GroupPosition, ...] = ()


def looked_at(name: str, rank: Asked, looks: int, apart_s: float) -> Seen:
    """Look at a rank's main process so many times, the last time with native frames, and once at its children."""
    seen: list[Look] = []
    told: list[tuple[GroupPosition, ...]] = []
    pid, began = python_in(rank.pid), time.monotonic()
    for number in range(looks):
        # From beginning to beginning: on a busy host a look may take as long as it is apart from the next.
        time.sleep(max(0.0, began + number * apart_s - time.monotonic()))
        # py-spy may be late for once; what it read before says more than what the rank would write.
        blind = not any(each.threads and not each.asked for each in seen)
        seen.append(look(pid, rank.stacks if blind else "", native=number == looks - 1))
        if number in (0, looks - 1) and seen[-1].state not in STILL:
            told.append(positions(rank.recorder))
    forked = [compared(each, [look(each, "", native=False)]) for each in children(pid, _MOST_CHILDREN)]
    # Where a rank gets on meanwhile, how far it is says nothing of who keeps it waiting.
    stands = len(told) == 2 and told[0] == told[1]
    return Seen(name=name, processes=(compared(pid, seen), *forked), positions=told[0] if stands else ())


def main(agent_pid: int) -> None:
    """Answer the one request."""
    confine(_MEMORY_BYTES, agent_pid)
    question = json.loads(sys.stdin.readline())
    telling = Lock()

    def tell(name: str, rank: Asked) -> None:
        found = asdict(looked_at(name, rank, question["looks"], question["apart_s"]))
        with telling:
            sys.stdout.write(json.dumps(found) + "\n")
            sys.stdout.flush()

    with ThreadPoolExecutor(_MOST_AT_ONCE) as pool:
        for done in [pool.submit(tell, name, Asked(**of)) for name, of in question["ranks"].items()]:
            done.result()


if __name__ == "__main__":
    main(int(sys.argv[1]))
