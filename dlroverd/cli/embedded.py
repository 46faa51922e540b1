"""A daemon and an agent of the command's own, for one job on this host: `run --standalone` and `demo`.

Their folder stays, since the ranks' output is in it; those that nothing happened to for a while are removed.
"""

import fcntl
import json
import os
import random
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlroverd.cli import keeper
from dlroverd.cli.endings import CommandError, Exit
from dlroverd.cli.following import Inbox

if TYPE_CHECKING:
    from dlroverd.client import Client
    from dlroverd.model.job import JobSpec

_KEPT_S = 14 * 86400
# A job's worlds take ports in turn, so a range of its own keeps two standalone jobs apart.
_PORTS, _FIRST_PORT, _LAST_PORT = 100, 20000, 29999
_CALL_LIMIT_S = 20.0
_LOOK_AGAIN_S = 0.02


@dataclass(frozen=True, slots=True)
class Embedded:
    """What was started: the client of the daemon, and the folder of everything."""

    client: "Client"
    folder: Path


@contextmanager
def embedded(spec: "JobSpec", inbox: Inbox) -> Iterator[Embedded]:
    """Start a daemon and an agent that the job fits on, and end them and all that they run afterwards.

    `inbox` gets an error if their keeper dies meanwhile.

    Raises:
        CommandError: the job is not for one host, or they could not be started or ended.
    """
    slots = _ranks_here(spec)
    folder = _new_folder()
    with _locked(folder), tempfile.TemporaryDirectory(prefix="dlroverd-") as socket_folder:
        address = f"unix://{socket_folder}/dlroverd.sock"
        _configure(folder, address, slots)
        process = _keeper(folder)
        threading.Thread(target=_report_death, args=(process, inbox), daemon=True).start()
        try:
            yield Embedded(_client(process, address), folder)
        finally:
            _end(process, folder)


def _ranks_here(spec: "JobSpec") -> int:
    for role in spec.roles:
        if role.nodes_min > 1:
            raise CommandError(
                f"--standalone runs on this host alone, and the job asks for {role.nodes_min} nodes; "
                "drop --nnodes, or submit it to a fleet without --standalone.",
                Exit.USAGE,
            )
    ranks = sum(role.gangs * role.nproc_per_node for role in spec.roles)
    return max(ranks, len(os.sched_getaffinity(0)))


def _new_folder() -> Path:
    root = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "dlroverd" / "standalone"
    folder = root / secrets.token_hex(4)
    try:
        folder.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise CommandError(
            f"{folder} cannot be made: {error.strerror}; name a place that can be written with XDG_STATE_HOME."
        ) from None
    for old in root.iterdir():
        if time.time() - old.stat().st_mtime > _KEPT_S:
            with _locked(old) as unused:
                if unused:
                    shutil.rmtree(old, ignore_errors=True)
    return folder


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Mark a folder as used, or learn that it is."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(lock)


def _configure(folder: Path, address: str, slots: int) -> None:
    first = random.randrange(_FIRST_PORT, _LAST_PORT - _PORTS, _PORTS)  # noqa: S311 - no secret
    daemon = {
        "state_dir": str(folder / "daemon"),
        "listen": [address],
        "store": {"reserve": "1MiB"},  # enough for the log of one job
    }
    agent = {
        "node": socket.gethostname(),
        "daemon": [address],
        "state_dir": str(folder / "agent"),
        "run_dir": str(folder / "run"),
        "slots": slots,
        "launcher": "process",  # all of it goes when its parent does, and its fleet's units would meet another's
        "port_range": f"{first}-{first + _PORTS - 1}",
    }
    for name, config in (("daemon", daemon), ("agent", agent)):
        (folder / f"{name}.yaml").write_text(json.dumps(config))  # YAML holds JSON
    (folder / keeper.ADDRESS_FILE).write_text(address)


def _keeper(folder: Path) -> "subprocess.Popen[str]":
    with (folder / "keeper.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", keeper.__name__, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # Ctrl-C in the terminal is for us to judge
        )


def _report_death(process: "subprocess.Popen[str]", inbox: Inbox) -> None:
    code = process.wait()
    inbox.put(CommandError(f"the keeper of the standalone job ended unexpectedly (status {code}); the job is ended."))


def _client(process: "subprocess.Popen[str]", address: str) -> "Client":
    from dlroverd.client import Client  # while the daemon starts

    client = Client(address, timeout_s=_CALL_LIMIT_S)
    said = process.stdout.readline().strip() if process.stdout is not None else ""
    if said != "ready":
        raise CommandError(said or "the keeper of the standalone job did not start; see its log.")
    _await_agent(client)
    return client


def _await_agent(client: "Client") -> None:
    """Wait for the agent's first message: until then the job would seem to be short of nodes."""
    deadline_s = time.monotonic() + _CALL_LIMIT_S
    while not any(node.state == "ready" for node in client.nodes()):
        if time.monotonic() > deadline_s:
            raise CommandError(f"the agent of the standalone job did not join within {_CALL_LIMIT_S:g} s; see its log.")
        time.sleep(_LOOK_AGAIN_S)


def _end(process: "subprocess.Popen[str]", folder: Path) -> None:
    """End the pipe, which has the keeper clean up; one that was killed is replaced."""
    process.communicate()
    code = process.returncode
    if code < 0:
        # Until the daemon of the first one has ended, too, another can not be started.
        deadline_s = time.monotonic() + _CALL_LIMIT_S
        while code and time.monotonic() < deadline_s:
            process = _keeper(folder)
            process.communicate()
            code = process.returncode
    elif code == keeper.NOT_STARTED:
        return
    if code:
        raise CommandError(f"not everything of the job could be ended; see {folder}/keeper.log.")
