"""Looks, as a job's user, at what its ranks would find here. A program of its own: it may hang on a file system.

Run by the agent as `python -I -S probe.py`, with the order on its standard input; imports the standard library, and
what ranks begin with, only.
It begins as the agent's user and loads all that it needs before it becomes the job's, who may be barred from this
interpreter. Sentences say "there", because they are read away from this host.
"""

import hashlib
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

if __name__ == "__main__":
    # Behind the standard library, not before it: this folder is where the agent's other packages are.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from dlroverd_agent.launchers import secret_values, users

LEAST_ROOM_BYTES = 16 * 1024 * 1024
SCRIPT_LIMIT_BYTES = 64 * 1024 * 1024

_PYTHON = re.compile(r"(?:python|pypy)[\d.]*t?")
# A cluster of short options whose last one takes a value: in the same word, or the next.
_VALUED = re.compile(r"-[a-zA-Z]*?([mcWX])(.*)", re.DOTALL)
_PACKAGE = re.compile(r"([^-]+)(?:-([^-]+))?(?:-py[\d.]+)?(?:-[^-]+)?\.(?:dist|egg)-info")
# Only what is built in: the working directory is on the path of `-c`, and may hold a module of any name.
_TELL = "import sys; sys.stdout.write(chr(1) + chr(0).join([sys.version.split()[0], *filter(None, sys.path)]))"


class Unfit(Exception):  # noqa: N818 - the name says what it is
    """The ranks cannot run here; the message is one sentence with the remedy."""


def look(order: dict[str, Any]) -> dict[str, object]:
    """Check everything in turn; gives the code, as `Code` has it. Unfit at the first thing that is wrong."""
    argv, cwd, env = list(map(str, order["argv"])), str(order["cwd"]), dict(order["env"])
    uid, gid, name = int(str(order["uid"])), int(str(order["gid"])), str(order["name"])
    _see_room(str(order["state_dir"]))
    _see_user(uid, gid, name, str(order["home"]), list(order["groups"]))
    secrets = [(str(what), str(file), str(credential)) for what, file, credential in order["secrets"]]
    _see_secrets(secret_values.of_host, secrets, name)
    _become(uid, gid, name)
    _see_secrets(secret_values.of_user, secrets)
    _enter(cwd, name)
    program = argv[0]
    _see_program(program, name)
    code: dict[str, object] = {"program": program, "version": "", "packages": {}, "script": "", "sha256": ""}
    script = ""
    if _PYTHON.fullmatch(os.path.basename(program)):
        code["version"], *path = _ask_interpreter(program, env)
        code["packages"] = _packages(path)
        script = _script(argv, [cwd, *path])
    elif _begins_with_hashbang(program):
        script = program
    if script:
        code |= {"script": script, "sha256": _digest(script, name)}
    return code


def _see_room(state_dir: str) -> None:
    found = os.statvfs(state_dir)
    left = found.f_bavail * found.f_frsize
    if left < LEAST_ROOM_BYTES:
        raise Unfit(
            f"only {left // 1024} KiB are left there for {state_dir}, where the output of ranks goes: "
            f"make room for at least {LEAST_ROOM_BYTES // 1024**2} MiB"
        )


def _see_user(uid: int, gid: int, name: str, home: str, groups: list[int]) -> None:
    if unlike := users.difference(uid, gid, name, home, groups):
        raise Unfit(unlike)


def _become(uid: int, gid: int, name: str) -> None:
    if os.geteuid() == 0:
        if name == str(uid):
            os.setgroups([gid])
        else:
            os.initgroups(name, gid)
        os.setgid(gid)
        os.setuid(uid)
    elif os.geteuid() != uid:
        raise Unfit(
            f"the agent there runs as uid {os.geteuid()} and can start no ranks of user {name}: run dlroverd-agent "
            "as root"
        )


def _see_secrets(read: Callable[..., dict[str, str]], *what: object) -> None:
    try:
        read(*what)
    except ValueError as error:
        raise Unfit(f"{error}, there: see docs/secrets.md") from None


def _enter(cwd: str, name: str) -> None:
    try:
        os.chdir(cwd)
    except FileNotFoundError:
        raise Unfit(
            f"the working directory {cwd} does not exist there: make it, or use one on a file system that all nodes "
            "share"
        ) from None
    except OSError as error:
        raise Unfit(
            f"user {name} cannot enter the working directory {cwd} there ({error.strerror}): see to its permissions"
        ) from None


def _see_program(program: str, name: str) -> None:
    try:
        found = os.stat(program)
    except OSError as error:
        raise Unfit(
            f"user {name} cannot run {program} there ({error.strerror}): install it at the same path on all nodes"
        ) from None
    if not stat.S_ISREG(found.st_mode) or not os.access(program, os.X_OK):
        raise Unfit(f"{program} is nothing that user {name} may execute there: see to its permissions")


def _ask_interpreter(program: str, env: dict[str, str]) -> list[str]:
    """Run the job's Python as its ranks will, for its version and where it looks for modules."""
    done = subprocess.run(
        [program, "-c", _TELL], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last_line = done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}"
        raise Unfit(f"{program} does not work there ({last_line}): repair or reinstall it")
    return done.stdout.rpartition("\1")[2].split("\0")  # whatever a sitecustomize prints comes before


def _packages(path: list[str]) -> dict[str, str]:
    """List what is installed by the names of its folders: the first on the path is what gets imported."""
    found: dict[str, str] = {}
    for folder in path:
        for entry in _entries(folder):
            if (match := _PACKAGE.fullmatch(entry)) is not None:
                found.setdefault(re.sub(r"[-_.]+", "-", match[1]).lower(), match[2] or "")
    return found


def _entries(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []  # an archive, or what was never made: an import looks there in vain, too


def _script(argv: list[str], path: list[str]) -> str:
    """Find what this command line makes a Python run; "" if that is no file, or is not found cheaply."""
    words = iter(argv[1:])
    for word in words:
        if (option := _VALUED.fullmatch(word)) is not None:
            value = option[2] or next(words, "")
            if option[1] == "m":
                return _module(value, path)
            if option[1] == "c":
                return ""
        elif word == "--check-hash-based-pycs":
            next(words, "")
        elif word == "-":
            return ""
        elif not word.startswith("-"):
            return "" if os.path.isdir(word) else word
    return ""


def _module(name: str, path: list[str]) -> str:
    for candidate in _candidates(name, path):
        if os.path.isfile(candidate):
            return candidate
    return ""


def _candidates(name: str, path: list[str]) -> Iterator[str]:
    for folder in path:
        stem = os.path.join(folder, *name.split("."))
        yield os.path.join(stem, "__main__.py")
        yield f"{stem}.py"


def _begins_with_hashbang(program: str) -> bool:
    try:
        with open(program, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False  # executable, and not for reading: no script


def _digest(script: str, name: str) -> str:
    """Hash a script; one too big to be one is not hashed."""
    try:
        if os.path.getsize(script) > SCRIPT_LIMIT_BYTES:
            return ""
        with open(script, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError as error:
        raise Unfit(
            f"user {name} cannot read the script {os.path.join(os.getcwd(), script)} there ({error.strerror}): copy it "
            "to all nodes, or keep it on a file system that they share"
        ) from None


def main() -> None:
    """Answer the order on standard input: {"problem": sentence} or {"code": ...}."""
    try:
        answer: dict[str, object] = {"code": look(json.load(sys.stdin))}
    except Unfit as unfit:
        answer = {"problem": str(unfit)}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
