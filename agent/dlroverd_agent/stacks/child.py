"""The process that looks at ranks, since a look may never return: a rank that is stuck in the kernel, a broken disk.

`python -m dlroverd_agent.stacks.child AGENT_PID` reads one line on its standard input: the pids of ranks by name, with
the files to which they write their stacks, and how to look. It writes a line for each rank as soon as it is done; all
JSON. It ends then: each request has its own.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from threading import Lock

from dlroverd.model.stacks import ProcessStack
from dlroverd.plugin_host.confine import confine
from dlroverd_agent.stacks.look import Look, children, compared, look, python_in

# py-spy reads the symbols of torch's libraries; how much that takes has been below 1 GiB.
_MEMORY_BYTES = 16 * 1024**3
_MOST_AT_ONCE = 8
_MOST_CHILDREN = 4


def looked_at(pid: int, file: str, looks: int, apart_s: float) -> list[ProcessStack]:
    """Look at a rank's main process so many times, the last time with native frames, and once at its children."""
    seen: list[Look] = []
    pid, began = python_in(pid), time.monotonic()
    for number in range(looks):
        # From beginning to beginning: on a busy host a look may take as long as it is apart from the next.
        time.sleep(max(0.0, began + number * apart_s - time.monotonic()))
        # py-spy may be late for once; what it read before says more than what the rank would write.
        blind = not any(each.threads and not each.asked for each in seen)
        seen.append(look(pid, file if blind else "", native=number == looks - 1))
    forked = [compared(each, [look(each, "", native=False)]) for each in children(pid, _MOST_CHILDREN)]
    return [compared(pid, seen), *forked]


def main(agent_pid: int) -> None:
    """Answer the one request."""
    confine(_MEMORY_BYTES, agent_pid)
    question = json.loads(sys.stdin.readline())
    telling = Lock()

    def tell(name: str, pid: int, file: str) -> None:
        found = [asdict(each) for each in looked_at(pid, file, question["looks"], question["apart_s"])]
        with telling:
            sys.stdout.write(json.dumps([name, found]) + "\n")
            sys.stdout.flush()

    with ThreadPoolExecutor(_MOST_AT_ONCE) as pool:
        for done in [pool.submit(tell, name, *of) for name, of in question["ranks"].items()]:
            done.result()


if __name__ == "__main__":
    main(int(sys.argv[1]))
