"""Plugins that do their worst, in a real host: its loop stays on time, and the others keep working."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from dlroverd.plugin_api import (
    EventView,
    FreeNode,
    GangPlacement,
    GangRequest,
    NoFit,
    Placement,
    PlacementRequest,
    PlacementView,
)
from dlroverd.plugin_host.breaker import BreakerLimits
from dlroverd.plugin_host.failures import PluginError, PluginTimeoutError
from dlroverd.plugin_host.host import PluginHost
from dlroverd.plugin_host.plugin import HostLimits, PluginConfig
from dlroverd.testing.plant import plant

HEALTHY = """
from dlroverd.plugin_api import FreeIndex, hookimpl, place
DLROVERD_API = 1
class Scheduler:
    def place(self, view):
        return place(FreeIndex(view.nodes), view.request)
@hookimpl
def dlroverd_register_scheduler(register):
    register(Scheduler())
"""

BAD = """
import ctypes, json, os, signal, subprocess, sys, threading, time
from dlroverd.plugin_api import *
DLROVERD_API = 1
class Scheduler:
    def place(self, view):
        {body}
@hookimpl
def dlroverd_register_scheduler(register):
    register(Scheduler())
"""

SINK = """
import os, signal, subprocess, threading, time
from dlroverd.plugin_api import hookimpl
DLROVERD_API = 1
class Sink:
    def open(self, settings):
        self.settings = settings
    def write(self, batch):
        {body}
    def close(self):
        pass
@hookimpl
def dlroverd_register_sink(register):
    register(Sink())
"""

GANG = GangRequest(role="trainer", gang=0, nodes_min=1, nodes_max=1, node_unit=1, slots_per_node=2)
VIEW = PlacementView(
    request=PlacementRequest(job=1, name="j", gangs=(GANG,)),
    nodes=(FreeNode(node="n1", slots=4, free=4),),
)
PLACED = Placement(gangs=(GangPlacement(role="trainer", gang=0, nodes=("n1",)),))


def event(position: int, body: str = "{}") -> EventView:
    return EventView(position=position, index=0, time=0.0, name="job_moved", job=1, node="", body=body)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that plugin processes import from."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    return folder


@contextlib.asynccontextmanager
async def running(*configs: PluginConfig, limits: HostLimits | None = None) -> AsyncIterator[PluginHost]:
    host = PluginHost(configs, limits)
    await host.start()
    try:
        yield host
    finally:
        await host.close()


@contextlib.asynccontextmanager
async def on_time() -> AsyncIterator[None]:
    """Beat each 50 ms; fail if a beat was over a second late."""
    late_s = [0.0]

    async def beat() -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + 0.05
            await asyncio.sleep(0.05)
            late_s.append(loop.time() - due)

    beating = asyncio.create_task(beat())
    yield
    beats = len(late_s)
    await eventually(lambda: len(late_s) > beats)
    beating.cancel()
    assert max(late_s) < 1.0, f"a beat was {max(late_s):.2f} s late"


async def eventually(condition: Callable[[], bool], limit_s: float = 30.0) -> None:
    """Poll what nothing can be awaited for."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.02)


def gone(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


CALLS = {
    "raises": ("raise ValueError('no\\nidea')", "place() raised ValueError: no idea"),
    "sleeps": ("time.sleep(3600)", "place() did not answer within 0.5 s"),
    "spins": ("\n        while True: pass", "place() did not answer within 0.5 s"),
    "holds_the_gil": ("ctypes.PyDLL(None).sleep(3600)", "place() did not answer within 0.5 s"),
    "ignores_signals": (
        "[signal.signal(n, signal.SIG_IGN) for n in (2, 15)]; time.sleep(3600)",
        "place() did not answer within 0.5 s",
    ),
    "stops_itself": ("os.kill(os.getpid(), signal.SIGSTOP)", "place() did not answer within 0.5 s"),
    "allocates_8_gib": ("bytearray(8 << 30)", "place() raised MemoryError"),
    "exits": ("os._exit(7)", "its process exited with status 7"),
    "raises_system_exit": ("sys.exit('bye')", "place() raised SystemExit: bye"),
    "crashes": (
        "print('last words'); sys.stdout.flush(); ctypes.string_at(0)",
        'was killed by signal 11; it last printed "last words"',
    ),
    "dies_of_a_real_time_signal": ("os.kill(os.getpid(), 40)", "its process was killed by signal 40"),
    "returns_a_wrong_type": ("return 'n1'", "place() returned str, where Placement or NoFit is wanted"),
    "returns_wrong_fields": ("return Placement(gangs=('n1',))", "its answer is not valid: returned.value.Placement"),
    "returns_surrogates": ("return NoFit(reason='\\udc80')", "PydanticSerializationError"),
    "returns_100_mb": ("return NoFit(reason='x' * 100_000_000)", "16777216 are allowed"),
    "sends_100_mb": (
        "[os.write(fd, b'x' * 100_000_000) for fd in link()]; time.sleep(9)",
        "it answered with more than 16777216 bytes",
    ),
    "sends_garbage": ("[os.write(fd, b'garbage\\n') for fd in link()]; time.sleep(9)", "its answer is not valid"),
    "answers_a_question_of_its_own": (
        '[os.write(fd, b\'{"op":"returned","id":99}\\n\') for fd in link()]; time.sleep(9)',
        "it answered what it was not asked",
    ),
    "hangs_up": ("[os.close(fd) for fd in link()]; time.sleep(9)", "it closed its connection"),
}
# Where the plugin's process keeps its socket to the host: what no honest plugin would look for.
LINK = """
def link():
    names = {fd: os.path.realpath(f'/proc/self/fd/{fd}') for fd in map(int, os.listdir('/proc/self/fd'))}
    return [fd for fd, name in names.items() if 'socket:' in name]
"""


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_goes_wrong(site: Path, tmp_path: Path, name: str) -> None:
    body, sentence = CALLS[name]
    plant(site, "healthy", HEALTHY)
    plant(site, "bad", BAD.format(body=body) + LINK)
    late = "did not answer" in sentence
    limit_s = 0.5 if late else 30.0
    log = tmp_path / "events"

    async def run() -> None:
        file = PluginConfig(name="file", settings={"path": str(log)})
        async with running(PluginConfig(name="bad"), PluginConfig(name="healthy"), file) as host:
            await host.settled()
            assert [view.health for view in host.inventory()] == ["ok", "ok", "ok"]
            async with on_time():
                broken, answer, _ = await asyncio.gather(
                    host.schedule("bad", VIEW, limit_s),
                    host.schedule("healthy", VIEW, 30.0),
                    host.write("file", (event(1),), 30.0),
                    return_exceptions=True,
                )
            assert isinstance(broken, PluginError)
            assert isinstance(broken, PluginTimeoutError) == late
            assert sentence in str(broken)
            assert answer == PLACED
            seen = host.inventory()
            assert sentence in seen[0].last_error
            assert "\n" not in seen[0].last_error
            assert [view.failures for view in seen] == [1, 0, 0]
            # It comes up again, in a new process if need be, and gets the next question.
            await eventually(lambda: host.inventory()[0].health == "ok")
            with pytest.raises(PluginError):
                await host.schedule("bad", VIEW, limit_s)
            assert host.inventory()[0].failures == 2

    asyncio.run(run())
    assert log.read_bytes().count(b"\n") == 1


IMPORTS = {
    "raises": ("raise RuntimeError('broken')", "RuntimeError: broken"),
    "exits": ("import os; os._exit(3)", "its process exited with status 3"),
    "has_a_syntax_error": ("def", "SyntaxError: invalid syntax"),
    "imports_what_is_not_there": ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    "sleeps": ("import time; time.sleep(3600)", "it did not load within 2 s"),
    "allocates_8_gib": ("x = bytearray(8 << 30)", "MemoryError"),
    "declares_no_api": ("", "it does not say which plugin API it is written for; add DLROVERD_API = 1 to it"),
    "declares_another_api": ("DLROVERD_API = 2", "it is written for plugin API 2, this is 1"),
    "registers_nothing": ("DLROVERD_API = 1", "it registers nothing"),
    "registers_a_class": (HEALTHY.replace("Scheduler())", "Scheduler)"), "it registers the class Scheduler, not an"),
    "registers_another_thing": (HEALTHY.replace("Scheduler())", "7)"), "it registers 7 where a scheduler is wanted"),
    "misspells_a_hook": (HEALTHY.replace("_scheduler", "_sheduler"), "unknown hook 'dlroverd_register_sheduler'"),
    "has_wrong_parameters": (HEALTHY.replace("(register)", "(registry)"), "a hook of it does not match"),
}


@pytest.mark.parametrize("name", IMPORTS)
def test_a_plugin_that_cannot_be_loaded(site: Path, name: str) -> None:
    source, sentence = IMPORTS[name]
    plant(site, "healthy", HEALTHY)
    plant(site, "bad", source, version="2.5")

    async def run() -> None:
        limits = HostLimits(load_s=2.0 if name == "sleeps" else 30.0, breaker=BreakerLimits(failures=2))
        async with on_time(), running(PluginConfig(name="bad"), PluginConfig(name="healthy"), limits=limits) as host:
            assert await host.schedule("healthy", VIEW, 30.0) == PLACED
            await host.settled()
            with pytest.raises(PluginError, match=r"plugin bad: it is held off for \d+ s: "):
                await host.schedule("bad", VIEW, 5.0)
            bad, healthy = host.inventory()
            assert sentence in bad.last_error
            assert "\n" not in bad.last_error
            assert (bad.health, bad.version, bad.origin, bad.failures) == ("failed", "2.5", "bad", 2)
            assert healthy.failures == 0

    asyncio.run(run())


def test_one_that_is_not_installed_or_installed_twice_is_named(site: Path) -> None:
    plant(site, "first", HEALTHY, entry="twin")
    plant(site, "second", HEALTHY, entry="twin")
    plant(site, "broken", HEALTHY)
    (site / "planted_broken-1.0.dist-info" / "entry_points.txt").write_bytes(b"\xff")

    async def run() -> None:
        limits = HostLimits(breaker=BreakerLimits(failures=1))
        names = ("twin", "fiel", "file")
        async with running(*(PluginConfig(name=name) for name in names), limits=limits) as host:
            await host.settled()
            twin, missing, unset = (view.last_error for view in host.inventory())
        assert twin == "first and second both have a plugin twin; uninstall one of them"
        assert missing.startswith("no installed distribution has a plugin fiel (metadata of /")
        assert missing.endswith("cannot be read); did you mean file?")
        assert unset == "open() raised ValueError: path is ''; the file sink needs an absolute path"

    asyncio.run(run())


def test_the_breaker_opens_and_closes(site: Path, tmp_path: Path) -> None:
    mended = tmp_path / "mended"
    plant(site, "sometimes", SINK.format(body=f"assert os.path.exists({str(mended)!r}), 'broker is down'"))

    async def run() -> None:
        limits = HostLimits(breaker=BreakerLimits(open_s=1.0))
        async with running(PluginConfig(name="sometimes"), limits=limits) as host:
            for _ in range(3):
                with pytest.raises(PluginError, match=r"write\(\) raised AssertionError: broker is down"):
                    await host.write("sometimes", (event(1),), 30.0)
            assert host.inventory()[0].health == "open"
            with pytest.raises(PluginError, match="held off"):
                await host.write("sometimes", (event(1),), 30.0)
            await eventually(lambda: host.inventory()[0].health == "ok")
            # On trial: a single failure opens it again.
            with pytest.raises(PluginError, match="broker is down"):
                await host.write("sometimes", (event(1),), 30.0)
            assert host.inventory()[0].health == "open"
            mended.touch()
            await eventually(lambda: host.inventory()[0].health == "ok")
            await host.write("sometimes", (event(1),), 30.0)
            view = host.inventory()[0]
            assert (view.health, view.failures) == ("ok", 4)
            assert view.last_error.endswith("broker is down")
            # The trial is over: again one failure is forgiven.
            mended.unlink()
            with pytest.raises(PluginError, match="broker is down"):
                await host.write("sometimes", (event(1),), 30.0)
            assert host.inventory()[0].health == "ok"

    asyncio.run(run())


def test_what_a_plugin_prints_harms_nothing(site: Path) -> None:
    noise = 'for _ in range(20): print(\'{"op": "returned", "id": 1}\' * 1000)'
    plant(site, "noisy", BAD.format(body=f"{noise}\n        return NoFit(reason=input() if 0 else 'full')"))
    flood = "threading.Thread(target=lambda: [os.write(1, b'x' * 65536) for _ in iter(int, 1)], daemon=True).start()"
    plant(site, "flooding", BAD.format(body=f"{flood}\n        return NoFit(reason='full')"))

    async def run() -> None:
        async with running(PluginConfig(name="noisy"), PluginConfig(name="flooding")) as host, on_time():
            for name in ("noisy", "noisy", "flooding", "flooding"):
                assert await host.schedule(name, VIEW, 30.0) == NoFit(reason="full")
            assert [view.failures for view in host.inventory()] == [0, 0]

    asyncio.run(run())


def test_a_process_that_never_reads_and_a_caller_that_gives_up(site: Path, tmp_path: Path) -> None:
    stopped = tmp_path / "pid"
    body = f"open({str(stopped)!r}, 'w').write(str(os.getpid())); os.kill(os.getpid(), signal.SIGSTOP)"
    plant(site, "deaf", SINK.format(body=body))

    async def run() -> None:
        async with running(PluginConfig(name="deaf")) as host, on_time():
            await host.settled()
            given_up = asyncio.create_task(host.write("deaf", (event(1),), 30.0))
            await eventually(lambda: stopped.exists() and stopped.read_text() != "")
            given_up.cancel()
            with pytest.raises(asyncio.CancelledError):
                await given_up
            assert host.inventory()[0].failures == 0
            with pytest.raises(PluginTimeoutError, match="did not answer within 1 s"):
                await host.write("deaf", (event(2, '"' + "x" * 8_000_000 + '"'),), 1.0)
            await eventually(lambda: gone(int(stopped.read_text())))

    asyncio.run(run())


def test_an_answer_that_nobody_waits_for_is_not_taken_for_the_next(site: Path) -> None:
    plant(site, "slow", BAD.format(body="time.sleep(0.3)\n        return NoFit(reason=view.request.name)"))

    async def run() -> None:
        async with running(PluginConfig(name="slow")) as host:
            await host.settled()
            given_up = asyncio.create_task(host.schedule("slow", VIEW, 30.0))
            await asyncio.wait([given_up], timeout=0.1)
            given_up.cancel()
            other = PlacementView(request=PlacementRequest(job=2, name="other", gangs=()), nodes=())
            assert await host.schedule("slow", other, 30.0) == NoFit(reason="other")

    asyncio.run(run())


def test_a_large_event_harms_nothing(site: Path, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    plant(site, "sink", SINK.format(body=f"print([e.position for e in batch], file=open({str(seen)!r}, 'a'))"))

    async def run() -> None:
        async with running(PluginConfig(name="sink")) as host, on_time():
            assert await host.write("sink", (event(1, '"' + "x" * 20_000_000 + '"'), event(2)), 30.0) == {}

    asyncio.run(run())
    assert seen.read_text() == "[1, 2]\n"


REFUSALS: dict[str, tuple[str, dict[tuple[int, int], str] | str]] = {
    "all but one": ("EventsRefused({(2, 0): 'too\\nlarge', (3, 0): 7})", {(2, 0): "too large", (3, 0): "7"}),
    "what it was not given": ("EventsRefused({(9, 0): 'x'})", "write() refused (9, 0), which it was not given"),
    "nothing": ("EventsRefused({})", "write() refused nothing"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_sink_that_refuses_events(site: Path, name: str) -> None:
    raised, expected = REFUSALS[name]
    plant(site, "sink", f"from dlroverd.plugin_api import EventsRefused\n{SINK.format(body=f'raise {raised}')}")

    async def run() -> None:
        async with running(PluginConfig(name="sink")) as host:
            batch = (event(1), event(2), event(3))
            if isinstance(expected, dict):
                assert await host.write("sink", batch, 30.0) == expected
            else:
                with pytest.raises(PluginError, match=re.escape(expected)):
                    await host.write("sink", batch, 30.0)
            assert host.inventory()[0].failures == (0 if isinstance(expected, dict) else 1)

    asyncio.run(run())


def test_all_that_a_late_plugin_started_is_killed(site: Path, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    start = "subprocess.Popen(['sleep', '3600'], start_new_session={}).pid"
    # The last one's parent has ended at once: a daemon.
    daemon = "int(subprocess.check_output(['sh', '-c', 'setsid sleep 3600 >/dev/null 2>&1 & echo $!']))"
    listed = f"[os.getpid(), {start.format('False')}, {start.format('True')}, {daemon}]"
    body = f"open({str(pids)!r}, 'w').write(' '.join(map(str, {listed}))); time.sleep(3600)"
    plant(site, "breeder", SINK.format(body=body))

    async def run() -> None:
        async with running(PluginConfig(name="breeder")) as host:
            await host.settled()
            with pytest.raises(PluginTimeoutError):
                await host.write("breeder", (event(1),), 2.0)
            started = [int(pid) for pid in pids.read_text().split()]
            assert len(started) == 4
            await eventually(lambda: all(gone(pid) for pid in started))

    asyncio.run(run())


HOST = """
import asyncio, sys
from dlroverd.plugin_api import EventView
from dlroverd.plugin_host.host import PluginHost
from dlroverd.plugin_host.plugin import PluginConfig
async def main():
    host = PluginHost([PluginConfig(name="sink", settings={"path": sys.argv[1], "password": "hunter2"})])
    await host.start()
    await host.settled()
    print(host.inventory()[0].health, flush=True)
    event = EventView(position=1, index=0, time=0.0, name="x", job=0, node="", body="{}")
    await host.write("sink", (event,), 3600)
asyncio.run(main())
"""


def test_a_plugin_sees_little_shows_no_secret_and_dies_with_its_host(site: Path, tmp_path: Path) -> None:
    facts, busy = tmp_path / "facts", tmp_path / "busy"
    opened = f"open({str(facts)!r}, 'w').write(f\"{{os.getpid()}} {{os.environ.get('NOTIFY_SOCKET')}}\")"
    body = f"open({str(busy)!r}, 'w'); time.sleep(3600)"
    plant(site, "sink", SINK.format(body=body).replace("self.settings = settings", opened))
    environment = os.environ | {"NOTIFY_SOCKET": "/run/notify"}
    command = [sys.executable, "-c", HOST, str(facts)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as host:
        try:
            assert host.stdout is not None
            assert host.stdout.readline() == b"ok\n"
            text, notify = facts.read_text().split()
            pid = int(text)
            assert notify == "None"
            with open(f"/proc/{pid}/cmdline", encoding="utf-8") as file:
                assert "hunter2" not in file.read()
            with open(f"/proc/{pid}/oom_score_adj", encoding="ascii") as file:
                assert int(file.read()) == 500
            assert os.getpriority(os.PRIO_PROCESS, pid) >= 10
            asyncio.run(eventually(busy.exists))
        finally:
            host.send_signal(signal.SIGKILL)
    asyncio.run(eventually(lambda: gone(pid)))


def test_a_host_that_closes_leaves_no_process_even_of_a_busy_plugin(site: Path, tmp_path: Path) -> None:
    busy = tmp_path / "busy"
    plant(site, "sink", SINK.format(body=f"open({str(busy)!r}, 'w').write(str(os.getpid())); time.sleep(3600)"))

    async def run() -> None:
        async with running(PluginConfig(name="sink"), limits=HostLimits(close_s=0.5)) as host:
            writing = asyncio.create_task(host.write("sink", (event(1),), 30.0))
            await eventually(lambda: busy.exists() and busy.read_text() != "")
        assert gone(int(busy.read_text()))
        with pytest.raises(PluginError, match="its process was killed by signal 9"):
            await writing

    asyncio.run(run())


def test_fifo_runs_inside_and_a_stranger_of_that_name_does_not(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask() -> tuple[object, str, str]:
        async with running(PluginConfig(name="fifo")) as host:
            at_once = host.inventory()[0].health
            await host.settled()
            answer = await asyncio.gather(host.schedule("fifo", VIEW, 30.0), return_exceptions=True)
            return answer[0], at_once, host.inventory()[0].last_error

    # What runs inside has no process to wait for.
    assert asyncio.run(ask()) == (PLACED, "ok", "")
    plant(site, "stranger", HEALTHY, entry="fifo")
    monkeypatch.syspath_prepend(str(site))
    answer, at_once, last_error = asyncio.run(ask())
    assert isinstance(answer, PluginError)
    assert at_once == "starting"
    assert last_error == "dlroverd and stranger both have a plugin fifo; uninstall one of them"
