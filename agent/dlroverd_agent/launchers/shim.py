"""The shim: one small process per rank that outlives the agent, keeps how the rank ended and kills its tree.

It owns the rank's process tree (it is its child subreaper) and the rank's record on disk. It must not read what
the rank wrote, decide when to stop, or import more than the standard library and `becoming`: it is run as
`python -I -S shim.py FD` in the rank's directory, where FD is the listening control socket.

The agent binds that socket, so a connection made to it lives exactly as long as some shim does: its end of file
without the state `gone` before it means that the shim died. Signals to the shim itself are ignored: only an
explicit stop through the socket ends a rank (DESIGN section 3, rule 3), and whoever signals a whole host or
control group at shutdown reaches the rank too, after whose end the shim ends by itself.

Each record is renamed into place before it is sent, and only the last one is synced, after it was sent: an
agent never sees a state that a successor could not find, and no death waits for a disk that a checkpoint has
filled. What a power cut takes is told apart by its boot id. A record that cannot be written (a full disk)
keeps the shim alive and served from memory until it can.
"""

import json
import os
import select
import signal
import socket
import struct
import sys
import time

if __name__ == "__main__":
    # Run as a program. Behind the standard library, not before it: this folder is where the agent's other packages are.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from dlroverd_agent.launchers.becoming import become_rank, open_output, prctl

ORDER = "order.json"
RECORD = "record.json"
OUTPUT = "output.log"
LAUNCH_ERROR = "launch_error"
CONTROL = "control.sock"

_PR_SET_CHILD_SUBREAPER = 36
_FIRST_RETRY_S = 0.02
_LAST_RETRY_S = 1.0
_UNKILLABLE_AFTER_S = 10.0


def replace_file(path: str, content: bytes) -> None:
    """Write a private file whole or not at all."""
    temporary = f"{path}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        while content:
            content = content[os.write(descriptor, content) :]
    finally:
        os.close(descriptor)
    os.rename(temporary, path)


class Shim:
    """One rank from its order to its verified end."""

    def __init__(self, listener: socket.socket, parked: tuple[int, int] | None = None) -> None:
        """Serve the rank whose control socket it is; `parked` is its process, if it waits, and its failure pipe."""
        self.listener = listener
        self.parked = parked
        self.record: dict[str, object] = {}
        self.clients: dict[int, tuple[socket.socket, bytearray]] = {}
        self.poller = select.poll()
        self.main_pid = 0
        self.main_ended = False
        self.failure = -1
        self.term_at = self.kill_at = self.save_at = float("inf")
        self.grace_s = float("inf")
        self.killing_since = 0.0
        self.retry_s = _FIRST_RETRY_S

    def run(self) -> None:
        """Start the rank and stay until nothing of it is left and that is recorded."""
        wakeup, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.listener.setblocking(False)
        for descriptor in (wakeup, self.listener.fileno()):
            self.poller.register(descriptor, select.POLLIN)
        self.start()
        while self.record["state"] != "gone" or self.save_at != float("inf"):
            soonest = min(self.term_at, self.kill_at, self.save_at)
            wait_ms = None if soonest == float("inf") else max(0.0, soonest - time.monotonic()) * 1000 + 1
            for descriptor, _ in self.poller.poll(wait_ms):
                if descriptor == wakeup:
                    os.read(wakeup, 4096)
                elif descriptor == self.listener.fileno():
                    self.accept()
                elif descriptor == self.failure:
                    self.executed()
                elif descriptor in self.clients:  # not one hung up on since the poll
                    self.hear(descriptor)
            self.reap()
            self.enforce(time.monotonic())
        try:
            os.fsync(os.open(RECORD, os.O_RDONLY))
        except FileNotFoundError:
            pass  # forgotten already

    def start(self) -> None:
        """Begin the rank; whether its program could be executed is learnt from the failure pipe."""
        with open(RECORD, "rb") as file:
            self.record = json.load(file)
        started_at = time.time()
        self.main_pid, self.failure = self.parked or self.fork_rank()
        self.record.update(pid=self.main_pid, started_at=started_at)
        self.poller.register(self.failure, select.POLLIN)

    def fork_rank(self) -> tuple[int, int]:
        """Fork the rank, as its order says; its pid and its failure pipe."""
        with open(ORDER, "rb") as file:
            order = json.load(file)
        os.unlink(ORDER)  # it holds the job's environment
        output = open_output(order["uid"], order["gid"], OUTPUT)
        reader, failure = os.pipe2(os.O_CLOEXEC)
        shim_pid = os.getpid()
        pid = os.fork()
        if pid == 0:
            become_rank(**order, output=output, failure=failure, parent=shim_pid)
        os.close(output)
        os.close(failure)
        return pid, reader

    def executed(self) -> None:
        """Read the failure pipe: its end alone means that the rank's program runs."""
        sentence = os.read(self.failure, select.PIPE_BUF).decode(errors="replace")
        self.poller.unregister(self.failure)
        os.close(self.failure)
        self.failure = -1
        if sentence:
            self.record["launch_error"] = sentence
        else:
            self.change(state="running")

    def accept(self) -> None:
        """Take a connection from the agent (same user, or root) and tell it the state."""
        try:
            client = self.listener.accept()[0]
        except OSError:
            return  # it hung up before it was served
        _, uid, _ = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid not in (0, os.geteuid()):
            client.close()
            return
        client.setblocking(False)
        self.clients[client.fileno()] = (client, bytearray())
        self.poller.register(client, select.POLLIN)
        self.tell(client.fileno())

    def hang_up(self, descriptor: int) -> None:
        """Forget a connection."""
        self.poller.unregister(descriptor)
        self.clients.pop(descriptor)[0].close()

    def tell(self, descriptor: int) -> None:
        """Send the state to one agent; one that does not take it is hung up on, and may connect again."""
        try:
            self.clients[descriptor][0].sendall(json.dumps(self.record).encode() + b"\n")
        except OSError:
            self.hang_up(descriptor)

    def hear(self, descriptor: int) -> None:
        """Read what an agent asks: `{"stop": {"evidence_s": ..., "grace_s": ...}}`, a line each."""
        client, received = self.clients[descriptor]
        try:
            piece = client.recv(4096)
        except BlockingIOError:
            return  # a new connection that got the number of one hung up on since the poll
        except OSError:
            piece = b""
        received += piece
        try:
            while b"\n" in received:
                line, _, rest = received.partition(b"\n")
                received[:] = rest
                stop = json.loads(line)["stop"]
                self.stop(float(stop["evidence_s"]), float(stop["grace_s"]))
        except (ValueError, KeyError, TypeError):
            piece = b""
        if not piece:
            self.hang_up(descriptor)

    def stop(self, evidence_s: float, grace_s: float) -> None:
        """Set the deadlines of the stop; a further stop can only bring them nearer."""
        now = time.monotonic()
        if self.main_ended:
            return
        self.grace_s = min(self.grace_s, grace_s)
        if self.record["requested"]:
            self.kill_at = min(self.kill_at, now + grace_s)
        else:
            self.term_at = min(self.term_at, now + evidence_s)

    def reap(self) -> None:
        """Collect every child that has ended: the rank, and strays of its tree, whose parent we became."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                if self.record["state"] != "gone":
                    self.kill_at = float("inf")
                    self.change(state="gone", unkillable=[])
                return
            if pid == 0:
                return
            if pid == self.main_pid:
                self.ended(status)

    def ended(self, status: int) -> None:
        """Record how the rank's main process ended; nothing of its tree may outlive it."""
        if self.failure >= 0:
            self.executed()
        self.main_ended = True
        self.term_at = float("inf")
        self.kill_at = 0.0
        code = os.waitstatus_to_exitcode(status)
        if not self.record["launch_error"]:
            self.record.update(code=code if code >= 0 else None, signal=-code if code < 0 else None)
        self.change(state="exited", exited_at=time.time())

    def enforce(self, now: float) -> None:
        """Do what is due: TERM, KILL of all children, another try to write the record."""
        if now >= self.save_at:
            self.save()
        if now >= self.term_at:
            self.term_at = float("inf")
            self.terminate(now)
        if now >= self.kill_at:
            self.kill_children(now)

    def terminate(self, now: float) -> None:
        """Send TERM to the rank's process group, once. The rank is not reaped yet, so its pid is its own.

        KILL comes at once if no grace is given, and until its program runs: it is deaf to TERM then, as we are, and has
        nothing to lose.
        """
        self.record["requested"] = True
        self.kill_at = now
        if self.failure >= 0 or not self.grace_s:
            return
        self.kill_at += self.grace_s
        try:
            os.killpg(self.main_pid, signal.SIGTERM)
        except PermissionError:
            pass  # it became another user's; KILL will say so

    def kill_children(self, now: float) -> None:
        """KILL every direct child, again and again until there is none.

        Only direct children are signalled: nobody but us can reap them, so their pids cannot be another's.
        The children of each become ours at its death; no child left means no descendant left.
        """
        self.killing_since = self.killing_since or now
        if not self.main_ended:
            self.record["requested"] = True
        with open("/proc/thread-self/children", "rb") as file:
            children = [int(pid) for pid in file.read().split()]
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
            except PermissionError:
                pass  # it became another user's: named below
        self.kill_at = now + self.retry_s
        self.retry_s = min(self.retry_s * 2, _LAST_RETRY_S)
        if now - self.killing_since > _UNKILLABLE_AFTER_S:
            names = [_describe(pid) for pid in children]
            if names != self.record["unkillable"]:
                self.change(unkillable=names)

    def change(self, **values: object) -> None:
        """Alter the record, write it, and tell it to the agent."""
        self.record.update(values)
        self.save()
        for descriptor in tuple(self.clients):
            self.tell(descriptor)

    def save(self) -> None:
        """Write the record, now or as soon as the disk takes it."""
        self.save_at = float("inf")
        try:
            replace_file(RECORD, json.dumps(self.record).encode())
        except FileNotFoundError:
            pass  # our directory was removed: nobody wants the record any more
        except OSError:
            self.save_at = time.monotonic() + _LAST_RETRY_S


def _describe(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            name, _, rest = file.read().decode(errors="replace").rpartition(")")
    except OSError:
        return f"{pid}"
    return f"{name}) {rest.split()[0]}"


def leave() -> None:
    """Leave the agent's process tree, and be deaf to signals from then on."""
    # Orphaned on purpose: no agent has a child to collect, and each finds all shims in the same way.
    if os.fork():
        os._exit(0)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def main() -> None:
    """Leave the agent's process tree, then serve the rank."""
    listener = socket.socket(fileno=int(sys.argv[1]))
    listener.set_inheritable(False)
    leave()
    Shim(listener).run()


if __name__ == "__main__":
    main()
