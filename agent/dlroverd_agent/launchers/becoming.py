"""The last steps of a process on its way to be a rank: its lease, its user, its secrets, its program.

For the standard library alone, besides what is ours for the few ranks that need it.
"""

import ctypes
import os
import pwd
import select
import signal
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1


def prctl(option: int, value: int) -> None:
    """Call the kernel's prctl; OSError if it refuses."""
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def open_output(uid: int, gid: int, path: str) -> int:
    """Open the file of a rank's stdout and stderr, in its directory; it becomes the rank's user's."""
    output = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    if os.geteuid() == 0:
        os.fchown(output, uid, gid)  # so that the rank can open /dev/stderr
    return output


def _give_up_protection() -> None:
    """Drop what the agent's unit hands down: short of memory, the kernel is to end a rank before its supervisors."""
    with open("/proc/self/oom_score_adj", "r+") as file:
        if int(file.read()) < 0:
            file.write("0")


def _guard(lease_until: float) -> None:
    """Have a keeper of the lease stand beside this process."""
    from dlroverd_agent.launchers import lease  # noqa: PLC0415 - only a rank with a lease needs it

    lease.guard(lease_until)


def _change_user(uid: int, gid: int) -> None:
    os.initgroups(pwd.getpwuid(uid).pw_name, gid)
    os.setgid(gid)
    os.setuid(uid)


def _see_person(uid: int, gid: int, name: str, home: str, groups: Sequence[int]) -> None:
    """Raise ValueError where the number is somebody else here: most worlds on one node are not checked before."""
    from dlroverd_agent.launchers import users  # noqa: PLC0415 - a spare's user was seen with its rank

    if unlike := users.difference(uid, gid, name, home, groups):
        raise ValueError(unlike)


def _die_with(parent: int) -> None:
    # After the change of user, which clears it; the second look closes the gap before it was set.
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def become_rank(
    argv: list[str],
    cwd: str,
    env: dict[str, str],
    uid: int,
    gid: int,
    *,
    person: tuple[str, str, Sequence[int]] = ("", "", ()),
    output: int,
    failure: int,
    parent: int = 0,
    lease_until: float = 0.0,
    secrets: Sequence[tuple[str, str, str]] = (),
) -> None:
    """Turn this process into the rank; on failure say why through `failure` and end. Never returns.

    A rank with a `parent` dies with it, and one with a lease when that runs out (`lease.py`). Its `secrets` are read
    here (`secret_values.py`); what its environment has already stays. `person` is who its user must be (`users.py`).
    """
    step, remedy = "it could not be prepared", "see that the host is well"
    try:
        if os.getsid(0) != os.getpid():
            os.setsid()
        if person[0]:
            step, remedy = "it would run as somebody else", "see docs/trust.md"
            _see_person(uid, gid, *person)
        if parent:
            _give_up_protection()
        if lease_until:
            step, remedy = "its lease cannot be kept", "see that the agent reaches the daemon"
            _guard(lease_until)
        if secrets:
            from dlroverd_agent.launchers import secret_values  # noqa: PLC0415 - only a rank with secrets needs it

            step, remedy = "it has no secret", "see docs/secrets.md"
            env = {**secret_values.of_host(secrets, pwd.getpwuid(uid).pw_name), **env}
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        if (uid, gid) != (os.geteuid(), os.getegid()):
            step = f"it cannot run as uid {uid}, gid {gid} (the agent runs as uid {os.geteuid()})"
            remedy = "create that user there, as on the other nodes, and run the agent as root"
            _change_user(uid, gid)
        if parent:
            _die_with(parent)
        if secrets:
            step, remedy = "it has no secret", "see docs/secrets.md"
            env = {**secret_values.of_user(secrets), **env}
        step = f"its working directory {cwd} cannot be entered"
        remedy = "make it there, or use one on a file system that all nodes share"
        os.chdir(cwd)
        step, remedy = f"{argv[0]} cannot be executed", "install it at the same path on all nodes"
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        os.execve(argv[0], argv, env)  # noqa: S606 # running what the user asked for is the purpose
    except (OSError, KeyError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error.args[0])
        os.write(failure, f"{step}: {reason}: {remedy}".encode(errors="replace")[: select.PIPE_BUF])
    finally:
        os._exit(127)
