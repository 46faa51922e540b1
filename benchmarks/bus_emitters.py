"""Says the same thing many times, for bus_trainer.py: by ours, by `logging`, or by DLRover's emitter.

`timed` prints the 50th and the 99th percentile of a call in microseconds; `burst` calls as fast as it can. Run by any
Python that has what is asked for.
"""

import json
import logging
import os
import sys
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

Say = Callable[[int, dict[str, Any]], object]


def emitter(way: str) -> Say:
    """Give what says something."""
    if way.startswith("dlrover"):
        from dlrover.python.training_event import TrainerProcess  # type: ignore[import-not-found] # noqa: PLC0415 # not ours

        process = TrainerProcess("benchmark")
        return lambda _, body: process.instant("log", body)
    if way == "logging":
        handler = logging.FileHandler(os.path.join(os.environ["FOLDER"], "log"))
        handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s %(message)s"))
        logger = logging.getLogger("trainer")
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        return lambda _, body: logger.info("%s", json.dumps(body))
    from dlroverd_train import events, progress  # noqa: PLC0415 - only where it is asked for

    if way == "progress":
        return lambda step, _: progress(step)
    if way == "span":
        return lambda _, body: events.begin("work", body).end()
    return lambda _, body: events.instant("logs", body)


def main() -> None:
    way, what, calls = sys.argv[1], sys.argv[2], int(sys.argv[3])
    say = emitter(way)
    took = []
    for step in range(calls):
        body = {"step": step, "loss": 1.0 / (step + 1), "lr": 3e-4}
        began = perf_counter_ns()
        say(step, body)
        if what == "timed":
            took.append(perf_counter_ns() - began)
    if took:
        took.sort()
        print(json.dumps([took[len(took) // 2] / 1000, took[len(took) * 99 // 100] / 1000]))


if __name__ == "__main__":
    main()
