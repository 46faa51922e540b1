"""A sink that writes a greeting to a file for each job that finishes: the smallest useful plugin."""

import json
import os
from collections.abc import Callable

from dlroverd.model.job import FINAL_JOB_STATES
from dlroverd.plugin_api import EventView, Sink, hookimpl

DLROVERD_API = 1


class HelloSink:
    """Appends one line to `path` for each job that finishes."""

    def open(self, settings: dict[str, str]) -> None:
        """Open the file."""
        if set(settings) != {"path"}:
            raise ValueError("the hello sink needs one setting: path")
        self._file = open(settings["path"], "a", encoding="utf-8")  # noqa: SIM115 closed by `close`

    def write(self, batch: tuple[EventView, ...]) -> None:
        """Greet; on disk when this returns."""
        for event in batch:
            if event.name == "job_moved":
                state = json.loads(event.body)["to"]
                if state in FINAL_JOB_STATES:
                    self._file.write(f"hello, job {event.job}: you {state}\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@hookimpl
def dlroverd_register_sink(register: Callable[[Sink], None]) -> None:
    """Hand over the sink."""
    register(HelloSink())
