"""The process beside a standalone job: runs its daemon and agent, and ends all of it when its parent is gone.

`python -m dlroverd.cli.keeper DIR`, with `daemon.yaml` and `agent.yaml` in DIR. Its stdin is a pipe from dlroverctl
that never carries a byte: however dlroverctl ends, even by SIGKILL, the pipe ends with it, and the keeper has the
daemon cancel what still runs (`python -m dlroverd.cli.keeper ADDRESS`), then stops agent and daemon. Until then it
starts anew whichever of them dies. It is itself replaceable: a second one on the same DIR finds the job's ranks as
any daemon and agent do. Says "ready" on stdout, or one line with why not.
"""

import ctypes
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ADDRESS_FILE = "address"
NOT_STARTED = 2
_MODULES = {"daemon": "dlroverd.daemon.main", "agent": "dlroverd_agent.main"}
_PR_SET_PDEATHSIG = 1
# Another try after a crash waits a little, so that one that cannot start does not spin.
_RESTART_PAUSE_S = 0.2
_STOP_LIMIT_S = 10.0
_CALL_LIMIT_S = 20.0


class Child:
    """The daemon or the agent: started, and started again when it dies."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.ready = False
        self._folder = folder
        self._libc = ctypes.CDLL(None)
        # It says that it is ready as it does to systemd; an abstract address leaves no file.
        address = f"dlroverd-keeper-{secrets.token_hex(8)}"
        self.notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.notices.bind(f"\0{address}")
        self._environ = {**os.environ, "NOTIFY_SOCKET": f"@{address}"}
        self.start()

    def start(self) -> None:
        """Start it, so that it gets TERM if this process dies."""
        with (self._folder / f"{self.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", _MODULES[self.name], "--config", str(self._folder / f"{self.name}.yaml")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environ,
                preexec_fn=self._die_with_parent,  # noqa: PLW1509 - this process has one thread
            )
        self.ended = os.pidfd_open(self._process.pid)

    def _die_with_parent(self) -> None:
        self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    def heard(self) -> None:
        """Take its notice, also when it is no news: one left there would have us called again at once, for ever."""
        notice = self.notices.recv(65536)
        self.ready = self.ready or b"READY=1" in notice

    def again(self) -> None:
        """Start it again."""
        self._process.wait()
        os.close(self.ended)
        time.sleep(_RESTART_PAUSE_S)
        self.start()

    def stop(self) -> None:
        """End it: in good order, or else by force. Ranks are not its affair."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def last_words(self) -> str:
        """Give the last line of its log."""
        log = self._folder / f"{self.name}.log"
        lines = log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"the {self.name} did not start; see {log}"


def main() -> int:
    """Keep what is in a folder until stdin ends; with an address, end the jobs of the daemon there."""
    if sys.argv[1].startswith("unix:"):
        return _end_jobs(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A handler, as what is ignored would stay so in the children.
        signal.signal(number, lambda *_: None)
    folder = Path(sys.argv[1])
    children = [Child("daemon", folder), Child("agent", folder)]
    status = _keep(children, (folder / ADDRESS_FILE).read_text())
    for child in reversed(children):
        child.stop()
    return status


def _keep(children: list[Child], address: str) -> int:
    """Keep all running until stdin has ended, and then all jobs; gives the keeper's exit status."""
    poll = select.poll()
    said = ending = False
    ender: subprocess.Popen[bytes] | None = None
    ended = -1
    poll.register(sys.stdin.fileno(), select.POLLIN)
    while True:
        for child in children:
            poll.register(child.notices.fileno(), select.POLLIN)
            poll.register(child.ended, select.POLLIN)
        events = {descriptor for descriptor, _ in poll.poll()}
        for child in children:
            if child.notices.fileno() in events:
                child.heard()
            if child.ended in events:
                if not child.ready:
                    _say(child.last_words())
                    return NOT_STARTED
                poll.unregister(child.ended)
                child.again()
        if not said and children[0].ready:
            said = True
            _say("ready")
        if sys.stdin.fileno() in events:
            poll.unregister(sys.stdin.fileno())
            ending = True
        if ending and said and ender is None:
            # A process of its own, so that daemon and agent are kept meanwhile.
            ender = subprocess.Popen([sys.executable, "-m", __spec__.name, address], stdin=subprocess.DEVNULL)
            ended = os.pidfd_open(ender.pid)
            poll.register(ended, select.POLLIN)
        if ender is not None and ended in events:
            return ender.wait()


def _say(text: str) -> None:
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        pass  # dlroverctl is gone, which stdin says too


def _end_jobs(address: str) -> int:
    """Cancel what is not over and wait until it is; gives the exit status, and says why it could not."""
    from dlroverd.cli.endings import CommandError
    from dlroverd.cli.following import wait
    from dlroverd.client import Client
    from dlroverd.model.job import FINAL_JOB_STATES
    from dlroverd.protocol.errors import CallError, Reason

    try:
        with Client(address, timeout_s=_CALL_LIMIT_S) as client:
            for job in client.jobs():
                if job.state in FINAL_JOB_STATES:
                    continue
                try:
                    client.cancel(job.id)
                except CallError as error:
                    if error.reason is not Reason.REFUSED:  # it ended by itself
                        raise
                wait(client, job.id, lambda _: None)
    except (CallError, CommandError) as error:
        sys.stderr.write(f"{error.sentence}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
