"""DLRover's rendezvous for scale_peers.py: its master as `serve`, and threads that each are an agent.

Run by a Python with `pip install dlrover kubernetes tornado requests grpcio protobuf`, and nothing of ours.
An agent does what DLRover's own does: it joins, then asks for the world every so often (the first argument, seconds).
"""

import json
import socket
import subprocess
import sys
import threading
import time

from dlrover.python.elastic_agent.master_client import GrpcMasterClient  # type: ignore[import-not-found]  # not ours

_NAME = "elastic-training"


def serve(nodes: int) -> None:
    """Run the master until standard input ends."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "dlrover.python.master.main", "--platform", "local"]
    command += ["--port", str(port), "--node_num", str(nodes), "--job_name", "scale"]
    master = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while master.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    print(json.dumps(port), flush=True)
    sys.stdin.read()
    master.kill()


def agents(poll_s: float, port: int, numbers: range, nodes: int, at: float) -> None:
    """Join as these agents at `at`; print when the last one held the world."""
    done: list[float] = []
    clients = {number: GrpcMasterClient(f"127.0.0.1:{port}", number, "worker", 60) for number in numbers}
    if 0 in clients:
        clients[0].report_rdzv_params(nodes, nodes, 60, 1, 600)

    def join(number: int) -> None:
        client = clients[number]
        time.sleep(max(0.0, at - time.monotonic()))
        client.join_rendezvous(number, 1, rdzv_name=_NAME)
        while number not in client.get_comm_world(_NAME, number)[2]:
            time.sleep(poll_s)
        done.append(time.monotonic())

    threads = [threading.Thread(target=join, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(max(done)), flush=True)


if __name__ == "__main__":
    poll, what, *words = sys.argv[1:]
    if what == "serve":
        serve(int(words[0]))
    else:
        port, first, count, nodes = map(int, words[:4])
        agents(float(poll), port, range(first, first + count), nodes, float(words[4]))
