"""Start a vault: `python -I -S .../vault/__main__.py --folder F --memory BYTES`; it needs no installation."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlroverd_train.vault.server import Server


def main() -> None:
    """Serve until told to end by the socket or by TERM."""
    parser = argparse.ArgumentParser(prog="dlroverd-vault", description="Keeps checkpoints of ranks in memory.")
    parser.add_argument("--folder", required=True, help="where its socket is; only this user may enter it")
    parser.add_argument("--memory", required=True, type=int, help="bytes that it keeps at most")
    parser.add_argument("--warm", action="store_true", help="bring all of the memory in at once, ahead of its use")
    parser.add_argument("--ranks", type=int, default=1, help="how many ranks share the memory")
    parser.add_argument("--streams", type=int, default=4, help="how many write to storage at once")
    parser.add_argument("--linger", type=float, default=0.0, help="end after so many seconds without ranks; 0: never")
    parser.add_argument("--attended", action="store_true", help="commit a step only once the agent says so")
    parser.add_argument("--user", metavar="UID:GID:NAME", help="become this user, who may be barred from our files")
    parser.add_argument("--ready", type=int, help="a descriptor to close once it listens")
    options = parser.parse_args()
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    from dlroverd_train.vault.server import Server  # noqa: PLC0415 - its place is known only now

    if options.user:
        become(*options.user.split(":"))
    os.umask(0o022)
    yield_to_training()
    server = Server(
        options.folder, options.memory, ranks=options.ranks, streams=options.streams, warm=options.warm,
        attended=options.attended,
    )  # fmt: skip
    signal.signal(signal.SIGTERM, lambda *_: end(server))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: it is meant for the training
    if options.ready is not None:
        os.close(options.ready)
    server.serve(options.linger)
    end(server)


def become(uid: str, gid: str, name: str) -> None:
    """Become a user, whose name is its number where it has none. All that is needed of our own files is loaded."""
    if os.geteuid() == 0:
        if name == uid:
            os.setgroups([int(gid)])
        else:
            os.initgroups(name, int(gid))
        os.setgid(int(gid))
        os.setuid(int(uid))


def yield_to_training() -> None:
    """Be nice to training, which comes first; also where the kernel weighs whole sessions, and ours is one."""
    os.nice(5)
    try:
        with open("/proc/self/autogroup", "w", encoding="ascii") as file:
            file.write("10")
    except OSError:
        pass  # a kernel that does not


def end(server: Server) -> None:
    """End at once: whatever still writes, writes to staging."""
    server.close()
    os._exit(0)


if __name__ == "__main__":
    main()
