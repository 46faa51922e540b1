"""Says all that a process can tell of itself, as JSON; then does as its last argument says."""

# ruff: noqa: T201 (what a rank has to say, it prints)

import argparse
import atexit
import decimal
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import warnings
import xml.dom.minidom  # noqa: F401 - something that is not there without being imported

import numpy as np


def work(value: int) -> int:
    return value * int(np.ones(1)[0])


def status(*names: str) -> dict[str, str]:
    with open("/proc/self/status", encoding="utf-8") as file:
        lines = dict(line.rstrip("\n").split(":\t", 1) for line in file)
    return {name: lines[name].strip() for name in names}


def environment() -> list[str]:
    with open("/proc/self/environ", encoding="utf-8") as file:
        return sorted(filter(None, file.read().split("\0")))


def opened() -> list[str]:
    return [os.readlink(f"/proc/self/fd/{name}") for name in range(3)] + sorted(os.listdir("/proc/self/fd"))


def portrait() -> dict[str, object]:
    main = sys.modules["__main__"]
    with open("/proc/self/cmdline", encoding="utf-8") as file:
        command = file.read()
    return {
        "argv": sys.argv,
        "orig_argv": sys.orig_argv,
        "command": command,
        "path": sys.path,
        "flags": str(sys.flags),
        "xoptions": {name: str(value) for name, value in sys._xoptions.items()},
        "warnings": [str(each) for each in warnings.filters],
        "main": [
            main is sys.modules[__name__],
            getattr(main, "__file__", None),
            str(main.__spec__ and main.__spec__.name),
        ],
        "names": sorted(vars(main)),
        "modules": sorted(sys.modules),
        "importers": [getattr(each, "__name__", type(each).__name__) for each in sys.meta_path],
        "cwd": os.getcwd(),
        "environ": dict(os.environ),
        "environment": environment(),
        "opened": opened(),
        "threads": [each.name for each in threading.enumerate()],
        "tasks": len(os.listdir("/proc/self/task")),
        "ids": [os.getpid() == os.getsid(0) == os.getpgrp(), os.getuid(), os.nice(0)],
        "scheduler": [os.sched_getscheduler(0), sorted(os.sched_getaffinity(0))],
        "kernel": status("SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd", "Name"),
        "handlers": [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
        "hooks": [sys.excepthook is sys.__excepthook__, sys.stdout is sys.__stdout__, sys.stdout.line_buffering],
        "streams": [sys.stdin.mode, sys.stdout.encoding, sys.stdout.errors, sys.stderr.errors, sys.stdout.isatty()],
        "context": str(decimal.getcontext()),
    }


def start_children() -> None:
    for method in ("spawn", "fork", "forkserver"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            print(method, pool.map(work, [1, 2]))
    show = "import os, sys; print(sys.argv, sorted(os.environ), [p for p in sys.path if 'rank_path' in p])"
    print(subprocess.run([sys.executable, "-c", show, "x"], capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what")
    what = parser.parse_args().what
    print(json.dumps(portrait()), flush=True)
    atexit.register(print, "atexit")
    if what == "raise":
        raise ValueError("as told")
    if what == "children":
        start_children()
    if what == "text":
        sys.exit("a sentence")
    if what == "interrupt":
        os.kill(os.getpid(), signal.SIGINT)
    if what == "term":
        os.kill(os.getpid(), signal.SIGTERM)
    sys.exit(int(what) if what.isdigit() else 0)


if __name__ == "__main__":
    main()
