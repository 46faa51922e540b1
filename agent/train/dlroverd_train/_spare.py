"""What a spare is made of, within Python itself: which modules a rank imports, and a process that waits with them.

`Names` notes the imports of a rank. `wait` is called in the process that is to be a rank's next life, before its script
begins (`rank_path/sitecustomize.py`): it imports what the agent names, waits, takes what differs in the next life, and
returns. What runs then is Python itself, with the command line that it was started with: nothing has to be imitated.

Stands alone, and imports only what Python has loaded by then, so that the script finds what it would have found.
"""

import os
import site
import sys
import time
from importlib.machinery import PathFinder
from importlib.util import find_spec

_FLUSH_S = 0.02
_MOST_NAMES = 20000
_HARMLESS = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/shm/", "/dev/pts/")
_ENV_START = 50  # of /proc/<pid>/stat, proc(5)
_ORDERS = "DLROVERD_SPARE"


class Names:
    """An importer that finds nothing: it sees what is imported, and appends that to a file.

    The file holds texts that each end in NUL: the process id, the number of words of the command line, and these words;
    then `=` and the seconds of CPU so far, before the names of modules that were imported by then.
    """

    def __init__(self) -> None:
        """Note from now on; `to` says where."""
        self._path = ""
        self._seen: set[str] = set()
        self._waiting: list[str] = []
        self._kept: list[str] = []
        self._flushed = 0.0
        sys.meta_path.insert(0, self)
        os.register_at_fork(after_in_child=self.stop)

    def to(self, path: str) -> None:
        """Append to a file from now on, also what was noted before."""
        command = sys.orig_argv
        self._kept[:0] = [str(os.getpid()), str(len(command)), *command]
        self._path = path
        self._flush()

    def stop(self) -> None:
        """Note nothing any more."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Look at what is to be imported; others find it."""
        del path, target
        if name not in self._seen:
            self._seen.add(name)
            self._waiting.append(name)
            now = time.monotonic()
            if now - self._flushed >= _FLUSH_S:
                self._flushed = now
                self._flush()

    def _flush(self) -> None:
        # A name that was only asked for, or is not to be had, never gets so far.
        done = [name for name in self._waiting if name in sys.modules]
        self._waiting = [name for name in self._waiting if name not in sys.modules]
        if done:
            self._kept += [f"={time.process_time():.3f}", *done]
        if not self._path:
            return
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                os.write(file, "".join(f"{text}\0" for text in self._kept).encode(errors="surrogateescape"))
            finally:
                os.close(file)
        except OSError:
            self.stop()  # a full disk, a folder that is gone: nothing that a script should hear of
        self._kept.clear()
        if len(self._seen) > _MOST_NAMES:
            self.stop()


def wait(names: Names) -> None:
    """Be a spare, until this is the rank. Returns then; in every other case the process ends with 127."""
    told = -1
    try:
        spare = _Spare(os.environ.pop(_ORDERS))
        told = spare.failure
        while (message := spare.hear())[0] == "import":
            told = spare.agent
            spare.answer(*message[1:])
            told = spare.failure
        spare.become(names, *message[1:])
    except BaseException as error:  # noqa: BLE001 - also KeyboardInterrupt: the script must not begin
        try:
            words = str(error) if isinstance(error, _UnfitError) else f"{type(error).__name__}: {error}"
            os.write(told, words.encode(errors="replace")[:4096])
        finally:
            os._exit(127)


class _UnfitError(Exception):
    """This process cannot become the rank; the message says why."""


class _Spare:
    """A process that waits. `words` are two descriptors: the agent's, and where to say why it cannot be the rank."""

    def __init__(self, words: str) -> None:
        self.agent, self.failure = map(int, words.split())
        for descriptor in {self.agent, self.failure}:
            os.set_inheritable(descriptor, False)
        self._path = sys.path[:]
        self._room = _room()

    def answer(self, home: str, *names: str) -> None:
        """Import, and say at what cost."""
        began = time.process_time()
        _import(home, names)
        self._check()
        with open("/proc/self/statm", encoding="utf-8") as file:
            pages = int(file.read().split()[1])
        said = f"{time.process_time() - began:.3f} {pages * os.sysconf('SC_PAGE_SIZE')}\n"
        os.write(self.agent, said.encode())

    def hear(self) -> list[str]:
        """Wait for a message: its length in bytes, a newline, and texts with NUL between them."""
        length = b""
        while not length.endswith(b"\n"):
            length += self._read(1)
        message = b""
        while len(message) < int(length):
            message += self._read(int(length) - len(message))
        return message.decode(errors="surrogateescape").split("\0")

    def _read(self, size: int) -> bytes:
        piece = os.read(self.agent, size)
        if not piece:
            raise _UnfitError("the agent died while starting it")
        return piece

    def _check(self) -> None:
        """See that no import did what is of no use to the rank, or comes too early."""
        threading, torch = sys.modules.get("threading"), sys.modules.get("torch")
        if sys.path != self._path:
            raise _UnfitError("an import changes sys.path")
        if threading is not None and threading.active_count() > 1:
            raise _UnfitError("an import starts a thread")
        if torch is not None and torch.cuda.is_initialized():
            raise _UnfitError("an import initialises CUDA")
        for task in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{task}/children", encoding="utf-8") as file:
                if file.read():
                    raise _UnfitError("an import starts a process")
        for name in os.listdir("/proc/self/fd"):
            try:
                opened = os.readlink(f"/proc/self/fd/{name}")
            except FileNotFoundError:
                continue  # that of the listing
            if opened.startswith("/dev/") and not opened.startswith(_HARMLESS):
                raise _UnfitError(f"an import opens {opened}")

    def become(self, names: Names, output: str, imports: str, cwd: str, *environment: str) -> None:
        """Take on what is new in this life, and let go of all that was of the waiting."""
        os.chdir(cwd)
        sys.stdout.flush()
        sys.stderr.flush()
        file = os.open(output, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
        at = 0
        while said := os.pread(1, 65536, at):
            at += os.write(file, said)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.close(file)
        _put(self._room, environment)
        for entry in environment:
            name, _, value = entry.partition("=")
            os.environ[name] = value
        for package in ("_dlroverd_rank", "dlroverd_train"):  # they looked for their files when they were imported
            if f"{package}.events" in sys.modules:
                sys.modules[f"{package}.events"].to_file(os.environ.get("DLROVERD_EVENTS_FILE", ""))
            if f"{package}._stacks" in sys.modules:
                sys.modules[f"{package}._stacks"].offer()
        names.to(imports)
        for descriptor in {self.agent, self.failure}:
            os.close(descriptor)


def _import(home: str, names: tuple[str, ...]) -> None:
    """Import what is installed, of those names. `home` is the script's own folder."""
    for top in dict.fromkeys(name.partition(".")[0] for name in names):
        if _is_installed(top) and top not in sys.builtin_module_names and PathFinder.find_spec(top, [home]) is not None:
            raise _UnfitError(f"{home} holds another {top}")
    for name in names:
        if name in sys.modules or not _is_installed(name.partition(".")[0]):
            continue
        try:
            __import__(name)
        except Exception:  # noqa: BLE001, S112 - as in the script, which goes on without it or says so itself
            continue


def _is_installed(top: str) -> bool:
    """Tell whether a module is Python's own or of an installed package, and not the user's."""
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return False
    if spec is None:
        return False
    if spec.origin in ("built-in", "frozen"):
        return True
    places = [spec.origin] if spec.has_location and spec.origin else list(spec.submodule_search_locations or ())
    return bool(places) and all(place.startswith(_roots()) for place in places)


def _roots() -> tuple[str, ...]:
    own = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return tuple(os.path.join(each, "") for each in (os.path.dirname(os.__file__), *site.getsitepackages(), *own))


# ---- what others read of the environment, in /proc


def _room() -> tuple[int, int]:
    """Find where this process's memory holds the entry of its environment that is of no use any more: start, length."""
    with open("/proc/self/environ", "rb") as file:
        environment = file.read()
    with open("/proc/self/stat", "rb") as file:
        start = int(file.read().rpartition(b")")[2].split()[_ENV_START - 3])
    name = f"{_ORDERS}=".encode()
    at = 0 if environment.startswith(name) else environment.index(b"\0" + name) + 1
    room = (start + at, environment.index(b"\0", at) - at)
    _put(room, ())  # now, rather than when it is too late to find that it cannot be done
    return room


def _put(room: tuple[int, int], entries: tuple[str, ...]) -> None:
    """Put entries of the environment there, instead."""
    at, length = room
    text = "\0".join(entries).encode(errors="surrogateescape")
    if len(text) > length:
        raise ValueError("its environment has grown too long")
    memory = os.open("/proc/self/mem", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.pwrite(memory, text.ljust(length, b"\0"), at)
    finally:
        os.close(memory)
