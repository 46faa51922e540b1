"""torch's c10d rendezvous for scale_peers.py: its store as `serve`, and threads that each are an agent's handler.

Every setting is torch's own; the smallest and the largest world are the same, so it is complete when the last has come.
"""

import json
import sys
import threading
import time

from torch.distributed import TCPStore
from torch.distributed.elastic.rendezvous import RendezvousParameters
from torch.distributed.elastic.rendezvous.c10d_rendezvous_backend import create_backend
from torch.distributed.elastic.rendezvous.dynamic_rendezvous import create_handler


def serve() -> None:
    """Hold the store until standard input ends."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    print(json.dumps(store.port), flush=True)
    sys.stdin.read()


def agents(port: int, count: int, nodes: int, at: float) -> None:
    """Join as `count` agents at `at`; print when the last one held the world."""
    done: list[float] = []

    def join() -> None:
        parameters = RendezvousParameters(
            backend="c10d",
            endpoint=f"127.0.0.1:{port}",
            run_id="scale",
            min_nodes=nodes,
            max_nodes=nodes,
            is_host="false",
        )
        backend, store = create_backend(parameters)
        handler = create_handler(store, backend, parameters)
        time.sleep(max(0.0, at - time.monotonic()))
        handler.next_rendezvous()
        done.append(time.monotonic())

    threads = [threading.Thread(target=join) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(max(done)), flush=True)


if __name__ == "__main__":
    what, *words = sys.argv[1:]
    if what == "serve":
        serve()
    else:
        agents(int(words[0]), int(words[2]), int(words[3]), float(words[4]))
