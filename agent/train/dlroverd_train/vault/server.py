"""The vault's socket: one thread for each connection, so that one that stalls or talks nonsense holds up nobody."""

from __future__ import annotations

import os
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from dlroverd_train.vault import commit, frames, last, layout, plans, retention
from dlroverd_train.vault.attending import Attending
from dlroverd_train.vault.persist import Part, Persister
from dlroverd_train.vault.pool import FullError, Pool

VERSION = 1
_MOST_CONNECTIONS = 512
_PEER = struct.Struct("iII")
_DYING = 2.0  # seconds that a process may take to end after it was killed
_MOST_WAIT = 5.0  # seconds that one answer is waited for; who wants to wait longer asks again


class Arena(NamedTuple):
    """A range of memory that a rank has."""

    at: int
    size: int
    plan: str
    rank: int
    node: int
    nodes: int
    """Which of how many nodes its plan is on; of 0 where the rank did not say."""


class RefusedError(Exception):
    """What a rank asks for is not done; one sentence."""


class _Client:
    """A connection, and the rank that it speaks for once it has said so."""

    def __init__(self, connection: socket.socket, pid: int, uid: int) -> None:
        self.connection, self.pid, self.uid = connection, pid, uid
        self.session, self.rank = "", -1
        self.world: list[str] | None = None
        """The job, role, gang and round that its rank says it is of."""
        self.attends = False
        self._started = _started(pid)

    def lives(self) -> bool:
        """Say whether its process is there. A child that it forked may hold the connection longer."""
        return bool(self._started) and _started(self.pid) == self._started


class Server:
    """The vault itself: memory, who holds which part of it, and what is being persisted."""

    def __init__(self, folder: str, memory: int, *, ranks: int, streams: int, warm: bool, attended: bool) -> None:
        self._attending = Attending() if attended else None
        self._pool = Pool(memory)
        self._persister = Persister(streams, self._attending.settle if self._attending else None)
        self._ranks, self._warm = max(1, ranks), warm
        self._arenas: dict[str, list[Arena]] = {}
        self._sessions: dict[str, last.Session] = {}
        self._leaving: threading.Thread | None = None
        self._left: list[str] = []
        self._clients: list[_Client] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.path = os.path.join(folder, "socket")
        self._listener = _listener(folder, self.path)

    def serve(self, linger: float) -> None:
        """Serve until told to end, or until nobody has been connected for `linger` seconds (0: until told)."""
        if self._warm:
            threading.Thread(target=self._pool.touch, args=(0, self._pool.size, self._stop), daemon=True).start()
        alone_since = time.monotonic()
        self._listener.settimeout(0.2)
        while not self._stop.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                pass
            else:
                self._welcome(connection)
            if self._clients or self._persister.busy():
                alone_since = time.monotonic()
            elif linger and time.monotonic() - alone_since > linger:
                break

    def close(self) -> None:
        """Take the socket away; the memory goes with the process."""
        self._listener.close()
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass

    def _welcome(self, connection: socket.socket) -> None:
        pid, uid, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        if uid not in {0, os.geteuid()} or len(self._clients) >= _MOST_CONNECTIONS:
            connection.close()
            return
        client = _Client(connection, pid, uid)
        self._clients.append(client)
        threading.Thread(target=self._converse, args=(client,), daemon=True).start()

    def _converse(self, client: _Client) -> None:
        try:
            while True:
                message, descriptors = frames.receive(client.connection)
                for descriptor in descriptors:  # nobody has reason to send one
                    os.close(descriptor)
                frames.send(client.connection, *self._answer(client, message))
        except frames.GoneError:
            pass  # its memory stays
        finally:
            client.connection.close()
            self._clients.remove(client)

    def _answer(self, client: _Client, message: frames.Message) -> tuple[frames.Message, list[int]]:
        operations: dict[str, Callable[[_Client, frames.Message], Any]] = {
            "attach": self._attach,
            "arena": self._arena,
            "arenas": self._all_arenas,
            "retire": self._retire,
            "persist": self._persist,
            "outcome": self._outcome,
            "thawed": self._thawed,
            "last": self._last,
            "idle": self._idle,
            "end": self._end,
            "attend": self._attend,
            "waiting": self._waiting,
            "verdict": self._verdict,
        }
        operation = operations.get(str(message.get("op")))
        try:
            if not operation:
                raise RefusedError(f"the vault does not know {message.get('op')!r}")
            answer = operation(client, message)
            return answer, [self._pool.descriptor] if operation == self._attach else []
        except (RefusedError, FullError, commit.NotPersistedError) as refusal:
            return {"refused": str(refusal)}, []
        except (KeyError, TypeError, ValueError) as error:
            return {"refused": f"the vault does not understand {message.get('op')!r}: {error!r}"}, []
        except OSError as error:
            return {"refused": f"the vault cannot do {message.get('op')!r}: {error}"}, []

    def _attach(self, client: _Client, message: frames.Message) -> frames.Message:
        """Let a connection speak for a rank of a session. Only one living process may."""
        if message["version"] != VERSION:
            raise RefusedError(f"the vault speaks version {VERSION}, this rank {message['version']}: restart the job")
        if client.attends or client.uid != os.geteuid():
            raise RefusedError(f"process {client.pid} is no rank of user {os.geteuid()}")
        session, rank, world = str(message["session"]), int(message["rank"]), message.get("world")
        client.world = [str(each) for each in world] if world else None
        until = time.monotonic() + _DYING
        while other := self._taken(client, session, rank):
            if time.monotonic() > until:
                raise RefusedError(
                    f"process {other.pid} has rank {rank}'s checkpoints of this path open: close them first"
                )
            time.sleep(0.01)
        if path := str(message.get("path", "")):
            keep = retention.Keep(*message["keep"]) if message["keep"] else None
            self._sessions[session] = last.Session(path, float(message["bandwidth"]), keep, client.world)
        share = self._pool.size // self._ranks // layout.PAGE * layout.PAGE
        near = share * (int(message["local"]) % self._ranks)
        return {"size": self._pool.size, "warm": self._warm, "share_at": near, "share": share, "pid": os.getpid()}

    def _taken(self, client: _Client, session: str, rank: int) -> _Client | None:
        """Let a connection speak for a rank, or give the other one that does and lives."""
        with self._lock:
            for other in self._clients:
                if other is not client and (other.session, other.rank) == (session, rank) and other.lives():
                    return other
            client.session, client.rank = session, rank
            return None

    def _arena(self, client: _Client, message: frames.Message) -> frames.Message:
        """Give the rank an arena for its plan: the one it had, or a new one of `most` bytes, or of `least`."""
        least, most, plan = int(message["least"]), int(message["most"]), str(message["plan"])
        place = (int(message.get("node", 0)), int(message.get("nodes", 0)))
        with self._lock:
            mine = [each for each in self._of(client.session) if each.rank == client.rank]
            for arena in reversed(mine):
                if arena.plan == plan and arena.size >= least and not message["new"]:
                    self._of(client.session).remove(arena)
                    self._of(client.session).append(Arena(*arena[:4], *place))
                    return {"at": arena.at, "size": arena.size, "fresh": False}
            dropped = False
            # The memory of older plans makes room, if there is no other: what holds no step first.
            for arena in sorted(mine, key=lambda each: any(layout.held(self._pool.range(each.at)[: each.size]))):
                if not self._pool.fits(least) and not self._frozen(arena):
                    self._drop(client.session, arena)
                    dropped = True
            size = most if self._pool.fits(most) else least
            at = self._pool.take(size, int(message["near"]))
            self._of(client.session).append(Arena(at, size, plan, client.rank, *place))
        if not self._warm:
            threading.Thread(target=self._pool.touch, args=(at, size, self._stop), daemon=True).start()
        return {"at": at, "size": size, "fresh": True, "dropped": dropped}

    def _all_arenas(self, client: _Client, _: frames.Message) -> frames.Message:
        with self._lock:
            return {"arenas": [(each.at, each.size, each.rank) for each in self._of(client.session)]}

    def _retire(self, client: _Client, message: frames.Message) -> frames.Message:
        """Let go of a rank's arenas but the one it keeps, and of those of ranks that are no more on this node."""
        with self._lock:
            for arena in list(self._of(client.session)):
                older = arena.rank == client.rank and arena.at != int(message["keep"])
                if (older or arena.rank not in message["local"]) and not self._frozen(arena):
                    self._drop(client.session, arena)
        return {}

    def _persist(self, client: _Client, message: frames.Message) -> frames.Message:
        arena = self._one(client, int(message["at"]))
        memory = self._pool.range(arena.at)[: arena.size]
        head = layout.read_head(memory)
        packed = layout.plan_of(memory, head) if head else None
        if not packed:
            raise RefusedError(f"the arena of rank {client.rank} has no plan")
        plan, template = plans.unpack(packed)
        save = commit.Save(
            str(message["path"]), int(message["step"]), str(message["save"]), plan.world, int(message["nodes"]),
            int(message["node"]), message["metric"], retention.Keep(*message["keep"]) if message["keep"] else None,
            client.world,
        )  # fmt: skip
        slot = int(message["slot"])
        if not 0 <= slot < layout.MOST_SLOTS:
            raise RefusedError(f"an arena has no slot {slot}")
        self._persister.streams.cap.rate = float(message["bandwidth"])
        part = Part(plan.rank, plan.local, memory, slot, plan.file, len(plan.blobs), plan.marks, template)
        self._persister.ask(save, part)
        return {}

    def _outcome(self, _: _Client, message: frames.Message) -> frames.Message:
        within = min(float(message["within"]), _MOST_WAIT)
        path, save = str(message["path"]), str(message["save"])
        answer = self._persister.outcome(path, save, within)
        late = self._attending.late(path, save) if self._attending and answer["state"] == "running" else ""
        return {"state": "staged", "says": late} if late else answer

    def _thawed(self, client: _Client, message: frames.Message) -> frames.Message:
        arena = self._one(client, int(message["at"]))
        within = min(float(message["within"]), _MOST_WAIT)
        slots = [int(each) for each in message["slots"]]
        return {"thawed": self._persister.thawed(self._pool.range(arena.at), slots, within)}

    def _attend(self, client: _Client, message: frames.Message) -> frames.Message:
        """Let a connection say which saves become checkpoints: the agent's, never a rank's."""
        if message["version"] != VERSION:
            raise RefusedError(f"the vault speaks version {VERSION}, its agent {message['version']}: restart the job")
        if not self._attending or client.session:
            raise RefusedError(
                "a rank decides on no checkpoint" if client.session else "this vault commits without being told to"
            )
        client.attends = True
        return {"pid": os.getpid()}

    def _attended(self, client: _Client) -> Attending:
        if not self._attending or not client.attends:
            raise RefusedError("only the agent decides on checkpoints")
        return self._attending

    def _waiting(self, client: _Client, message: frames.Message) -> frames.Message:
        within = min(float(message["within"]), _MOST_WAIT)
        return self._attended(client).waiting(int(message["known"]), within)

    def _verdict(self, client: _Client, message: frames.Message) -> frames.Message:
        self._attended(client).decide(str(message["path"]), str(message["save"]), str(message["refusal"]))
        return {}

    def _last(self, client: _Client, _: frames.Message) -> frames.Message:
        """Begin to persist what memory alone holds of a job that has left; `idle` says when that is over."""
        self._attended(client)
        with self._lock:
            if self._leaving is None or not self._leaving.is_alive():
                self._left = []
                self._leaving = threading.Thread(target=self._bring_last, daemon=True)
                self._leaving.start()
        return {}

    def _bring_last(self) -> None:
        for name, session in list(self._sessions.items()):
            with self._lock:
                arenas = [each for each in self._of(name) if each.nodes]
            ranges = [last.Range(self._pool.range(each.at)[: each.size], each.node, each.nodes) for each in arenas]
            try:
                last.bring(session, ranges, self._persister)
            except (commit.NotPersistedError, OSError, ValueError, TypeError) as error:
                self._left.append(f"the last step that memory had for {session.path} is not persisted: {error}")
        with self._persister.changed:
            self._persister.changed.notify_all()

    def _is_idle(self) -> bool:
        leaving = self._leaving is not None and self._leaving.is_alive()
        return not leaving and not self._persister.busy()

    def _idle(self, _: _Client, message: frames.Message) -> frames.Message:
        """Say whether nothing is being persisted, as soon as that is so, and what could not be brought to storage."""
        within = min(float(message["within"]), _MOST_WAIT)
        with self._persister.changed:
            return {"idle": self._persister.changed.wait_for(self._is_idle, within), "left": self._left}

    def _end(self, _: _Client, message: frames.Message) -> frames.Message:
        """End, once what is being persisted is, or after `within` seconds."""
        with self._persister.changed:
            self._persister.changed.wait_for(lambda: not self._persister.busy(), float(message["within"]))
        self._stop.set()
        return {}

    def _of(self, session: str) -> list[Arena]:
        return self._arenas.setdefault(session, [])

    def _one(self, client: _Client, at: int) -> Arena:
        with self._lock:
            for arena in self._of(client.session):
                if arena.at == at and arena.rank == client.rank:
                    return arena
        raise RefusedError(f"rank {client.rank} has no arena at {at}")

    def _frozen(self, arena: Arena) -> bool:
        memory = self._pool.range(arena.at)
        return any(layout.frozen(memory, slot) for slot in range(layout.MOST_SLOTS))

    def _drop(self, session: str, arena: Arena) -> None:
        self._of(session).remove(arena)
        self._pool.give_back(arena.at)


def _listener(folder: str, path: str) -> socket.socket:
    """Listen in a folder that is ours alone."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    about = os.lstat(folder)
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o077:
        raise SystemExit(f"{folder} is not a folder that only user {os.geteuid()} may enter: remove it or name another")
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with frames.short_name(path) as name:
        listener.bind(name)
    listener.listen(64)
    return listener


def _started(pid: int) -> str:
    """Say when a process began, in ticks since the boot; empty if it is not there any more, or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in {"Z", "X"} else fields[19]
