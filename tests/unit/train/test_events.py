"""What a training says of itself: events, spans, what becomes of bad input, and of a file that cannot be written."""

import collections
import os
import shutil
from pathlib import Path

import pytest

from tests.unit.train.said import EVENTS, OWN, Said, read, run


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events"


def test_each_helper_says_its_event_and_spans_say_two(file: Path) -> None:
    said = run(
        OWN + "events.start(lr=0.1)\n"
        "for name in ('init', 'load_ckpt', 'load_dataset', 'train', 'evaluate', 'predict'):\n"
        "    with getattr(events, name)(a=1): pass\n"
        "for each in (events.epoch, events.step, events.save, events.persist_ckpt):\n"
        "    with each(3): pass\n"
        "events.substep(n=1); events.predict_step(); events.log({'loss': 0.5}); events.warning('hot', 'device')\n"
        "events.finish(); events.gauge('loss', 2.5)\n"
        "events.instant('mine', {'a': [1, None, True]}, severity='critical')\n"
        "events.begin('own.thing', {}).end({'ok': True})\n",
        file,
    )
    assert (said.code, said.out, said.err) == (0, "", "")
    kinds: collections.defaultdict[str, str] = collections.defaultdict(str)
    for event in said.events:
        assert abs(event["t"] - file.stat().st_mtime) < 60
        assert event["m"] > 0
        kinds[event["n"]] += event.get("k", "i")
    spans = (
        "init",
        "load_ckpt",
        "load_dataset",
        "train",
        "evaluate",
        "predict",
        "epoch",
        "step",
        "save",
        "persist_ckpt",
    )
    instants = ("start", "substep", "predict_step", "log", "warning", "finish")
    assert kinds == {
        **{f"trainer.{name}": "be" for name in spans},
        **{f"trainer.{name}": "i" for name in instants},
        "user.mine": "i",
        "user.loss": "g",
        "user.own.thing": "be",
    }
    assert said.one("user.mine")["b"] == {"a": [1, None, True]}
    assert said.one("user.mine")["s"] == "critical"
    assert said.one("trainer.warning")["s"] == "warning"
    assert said.one("user.loss")["b"] == {"value": 2.5}
    assert [each["b"] for each in said.events if each["n"] == "trainer.persist_ckpt"] == [
        {"step": 3, "path": "", "size": 0}, {},
    ]  # fmt: skip


SPANS = """
import asyncio, threading
with events.train():
    epoch = events.begin("epoch")
    with events.step(1):
        events.instant("inside")
    events.instant("in_epoch")
    ending = threading.Thread(target=epoch.end)
    ending.start(); ending.join()
    epoch.end({"second": True})
    events.instant("in_train")
    async def task(n):
        with events.span("task", n=n):
            await asyncio.sleep(0)
            events.instant("in_task", {"n": n})
    async def both(): await asyncio.gather(task(1), task(2))
    asyncio.run(both())
    thread = threading.Thread(target=events.instant, args=("in_thread",))
    thread.start(); thread.join()
events.instant("outside")
try:
    with events.save(7): raise KeyError("gone")
except KeyError as error: print(error)
try:
    with events.span("leaves"): raise SystemExit(0)
except SystemExit: print("left")
"""


def begun(said: Said, name: str) -> str:
    return str(next(each["sp"] for each in said.events if each["n"] == name and each["k"] == "b"))


def test_spans_know_what_they_are_in_and_end_once(file: Path) -> None:
    said = run(OWN + SPANS, file)
    assert (said.out, said.err) == ("'gone'\nleft\n", "")
    assert said.one("user.inside")["pa"] == begun(said, "trainer.step")
    assert said.one("user.in_epoch")["pa"] == begun(said, "user.epoch")
    assert said.one("user.in_train")["pa"] == begun(said, "trainer.train")
    assert "pa" not in said.one("user.in_thread")
    assert "pa" not in said.one("user.outside")
    tasks = {each["b"]["n"]: each["sp"] for each in said.events if each["n"] == "user.task" and each["k"] == "b"}
    assert {each["b"]["n"]: each["pa"] for each in said.events if each["n"] == "user.in_task"} == tasks
    (epoch,) = [each for each in said.events if each["n"] == "user.epoch" and each["k"] == "e"]
    assert epoch["b"] == {}
    (saved,) = [each for each in said.events if each["n"] == "trainer.save" and each["k"] == "e"]
    assert (saved["s"], saved["b"]) == ("error", {"type": "KeyError", "message": "'gone'"})
    (left,) = [each for each in said.events if each["n"] == "user.leaves" and each["k"] == "e"]
    assert "s" not in left


FORKS = """
import os
events.instant("before")
outer = events.begin("outer")
for _ in range(2):
    if os.fork() == 0:
        events.instant("child", {"own": os.getpid()})
        outer.end({"from": "child"})
        with events.span("inner"): pass
        print(events.dropped(), flush=True)
        os._exit(0)
for _ in range(2): os.wait()
with events.span("inner"): pass
outer.end({"from": "parent"})
print(os.getpid())
"""


def test_a_forked_child_says_its_own_and_ends_nothing_of_its_parent(file: Path) -> None:
    said = run(EVENTS + FORKS, file)
    parent = int(said.out.split()[-1])
    children = [each for each in said.events if each["n"] == "user.child"]
    assert [each["b"]["own"] for each in children] == [each["p"] for each in children]
    assert parent not in {each["p"] for each in children}
    assert len({each["p"] for each in children}) == 2
    spans = [each["sp"] for each in said.events if each.get("k") == "b"]
    assert len(set(spans)) == len(spans) == 4
    (outer,) = [each for each in said.events if each["n"] == "user.outer" and each["k"] == "e"]
    assert (outer["p"], outer["b"]) == (parent, {"from": "parent"})
    assert {each["pa"] for each in children} == {outer["sp"]}


def test_a_burst_of_many_threads_and_processes_is_all_there(file: Path) -> None:
    said = run(
        EVENTS + "import os, threading\n"
        "forked = os.fork()\n"
        "def burst(thread):\n"
        "    for n in range(2500): events.instant('burst', {'thread': thread, 'n': n})\n"
        "threads = [threading.Thread(target=burst, args=(n,)) for n in range(4)]\n"
        "for each in threads: each.start()\n"
        "for each in threads: each.join()\n"
        "if not forked: os.kill(os.getpid(), 9)\n"
        "os.wait(); print(events.dropped())\n",
        file,
    )
    assert said.out == "0\n"
    seen = {(each["p"], each["b"]["thread"], each["b"]["n"]) for each in said.events}
    assert len(seen) == len(said.events) == 20_000


BODIES = r"""
import collections, pathlib, numpy
class Bad:
    def __repr__(self): raise RuntimeError("no")
class Long:
    def __repr__(self): return "x" * 999
circle = {}; circle["self"] = circle
deep = []
for _ in range(5000): deep = [deep]
class Point(collections.namedtuple("Point", "x y")): pass
class Cuda:
    class device:
        type = "cuda"
        def __str__(self): return "cuda:0"
    device = device()
    def __float__(self): raise SystemExit("read")
    __repr__ = __float__
bodies = [
    {"nan": float("nan"), "inf": [float("inf"), -float("inf")], "loss": numpy.float32(0.5), "n": numpy.int64(3)},
    {"object": object(), "bad": Bad(), "long": range(10**9), "array": numpy.zeros(3), "text": Long()},
    {"half": "\ud800", "nul": "\0\n", "smile": "😀", 5: 1, None: 2, (1, 2): 3, b"k": b"v"},
    {"circle": circle, "deep": deep, "huge": 1 << 99999, "set": {1}, "point": Point(1, 2), "path": pathlib.Path("/x")},
    {"nan32": numpy.float32("nan"), "none": None, "yes": True, "cuda": Cuda()},
    [1, 2], "text", 5,
]
for body in bodies: events.instant("body", body)
events.instant("body", {"data": "y" * 10_000_000, "after": 1})
events.instant("body", {str(n): n for n in range(1_000_000)})
print(events.dropped(), events.shortened())
"""


def test_whatever_a_body_is_its_line_is_json_of_a_bounded_length(file: Path) -> None:
    said = run(EVENTS + BODIES, file)
    assert (said.out, said.err) == ("0 2\n", "")
    numbers, objects, texts, shapes, more, listed, text, number, large, many = (each["b"] for each in said.events)
    assert numbers == {"nan": "nan", "inf": ["inf", "-inf"], "loss": 0.5, "n": 3}
    assert objects["bad"] == "<Bad, which has no repr>"
    assert objects["object"].startswith("<object object at")
    assert (objects["long"], objects["array"]) == ("range(0, 1000000000)", "array([0., 0., 0.])")
    assert objects["text"] == "x" * 200 + "…"
    assert texts == {"half": "?", "nul": "\0\n", "smile": "😀", "5": 1, "None": 2, "(1, 2)": 3, "b'k'": "b'v'"}
    assert str(shapes["circle"]).count("self") == 15
    assert str(shapes["deep"]).count("[") == 15
    assert shapes["huge"] == "<a number of 100000 bits>"
    assert (shapes["set"], shapes["point"], shapes["path"]) == ([1], [1, 2], "/x")
    waits = "<Cuda on cuda:0: not read, since that waits for the device>"
    assert more == {"nan32": "nan", "none": None, "yes": True, "cuda": waits}
    assert (listed, text, number) == ({"value": [1, 2]}, {"value": "text"}, {"value": 5})
    assert large["data"].startswith('"yyy')
    assert (large["after"], large["cut"]) == (1, "of 10000021 bytes, 65536 are the most")
    assert many["0"] == 0
    assert 1000 < len(many) < 10_000
    assert max(map(len, file.read_bytes().split(b"\n"))) < 65536


def test_bad_names_and_severities_are_complained_of_once_and_never_raise(file: Path) -> None:
    said = run(
        EVENTS + "for name in ('a b', '', 'x' * 200, 'ü', 'a\\n', None, 5, ['a'], 'a..b'):\n"
        "    events.instant(name); events.begin(name, {}).end(); events.gauge(name, 1)\n"
        "events.instant('fine', severity='loud'); events.instant('trainer.own'); events.instant('user.own')\n"
        "events.begin('s').end(severity=[])\n"
        "print(events.dropped())\n",
        file,
    )
    assert said.out == "36\n"
    assert said.err == (
        "dlroverd_train.events: 'a b' cannot name an event: use letters, digits, _, - and ., at most 128 "
        "(said once; dropped() counts)\n"
    )
    names = [each["n"] for each in said.events if each["n"] != "trainer.events_dropped"]
    assert names == ["user.fine", "user.trainer.own", "user.own", "user.s", "user.s"]
    assert said.one("trainer.events_dropped")["b"] == {"count": 36, "why": "a name that no event may have"}


def test_without_an_agent_events_go_to_a_file_that_is_named_or_nowhere(tmp_path: Path) -> None:
    script = EVENTS + (
        "events.instant('nowhere'); events.begin('x').end()\n"
        "import sys; events.to_file(sys.argv[1] if len(sys.argv) > 1 else PATH); events.instant('here')\n"
        "events.to_file(''); events.instant('nowhere'); print(events.dropped())\n"
    )
    own = tmp_path / "own"
    said = run(script.replace("PATH", repr(str(own))), tmp_path / "none", DLROVERD_EVENTS_FILE="")
    assert (said.code, said.out, said.err, said.events) == (0, "0\n", "", [])
    assert [each["n"] for each in read(own)] == ["user.here"]
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


@pytest.mark.parametrize("kind", ["folder", "pipe", "link", "missing", "full", "nul"])
def test_a_file_that_cannot_be_had_costs_events_and_nothing_else(tmp_path: Path, kind: str) -> None:
    path = tmp_path / kind
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    name = {"missing": "/nowhere/events", "full": "/dev/full"}.get(kind, str(path))
    script = EVENTS + "for _ in range(300): events.instant('x')\nprint(events.dropped())"
    if kind == "nul":
        script = EVENTS + "events.to_file('/a\\0b'); events.instant('x')\nprint(events.dropped())"
    said = run(script, tmp_path / "unused", DLROVERD_EVENTS_FILE=name)
    assert (said.code, said.out, said.err) == (0, "1\n" if kind == "nul" else "300\n", "")


FULL = """
import os, resource
path = os.environ["DLROVERD_EVENTS_FILE"]
events.instant("first")
resource.setrlimit(resource.RLIMIT_FSIZE, (os.stat(path).st_size + 20, resource.RLIM_INFINITY))
for _ in range(5): events.instant("lost")
print(events.dropped())
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
events.instant("again")
"""


def test_what_a_full_disk_cuts_off_spoils_no_later_line_and_is_told(file: Path) -> None:
    said = run(EVENTS + FULL, file.with_name("unused"), DLROVERD_EVENTS_FILE=str(file))
    assert (said.code, said.out, said.err) == (0, "5\n", "")
    lines = [each for each in file.read_bytes().split(b"\n") if each]
    torn = [each for each in lines if not each.endswith(b"}")]
    assert len(torn) == 1
    file.write_bytes(b"\n".join(each for each in lines if each not in torn))
    assert [each["n"] for each in read(file)] == ["user.first", "user.again", "trainer.events_dropped"]
    assert read(file)[-1]["b"] == {"count": 5, "why": "the file could not be written"}


UNREAD = """
import os
path = os.environ["DLROVERD_EVENTS_FILE"]
page = os.open(path, os.O_RDWR | os.O_CREAT)
os.posix_fallocate(page, 0, (64 << 20) + 4096)
for _ in range(7): events.instant("lost")
os.ftruncate(page, 0)
events.instant("kept")
os.posix_fallocate(page, 0, (64 << 20) + 4096)
for _ in range(300): events.instant("some")
print(events.dropped())
os.ftruncate(page, 0)
"""


def test_a_file_that_nobody_reads_does_not_grow_without_end(file: Path) -> None:
    said = run(EVENTS + UNREAD, file)
    dropped = int(said.out)
    assert 7 < dropped <= 307
    # At its end the process tells what it still owes.
    assert [each["n"] for each in said.events] == ["trainer.events_dropped"]
    assert said.one("trainer.events_dropped")["b"] == {
        "count": dropped - 7, "why": "the file is full of what nobody reads",
    }  # fmt: skip


def test_a_program_that_closes_every_descriptor_gets_no_event_in_its_own_files(file: Path, tmp_path: Path) -> None:
    said = run(
        EVENTS + "import os\nfrom dlroverd_train import progress\nevents.instant('a'); progress(1)\n"
        "os.closerange(3, 4096)\n"
        "own = [open(os.environ['OWN'], 'wb') for _ in range(9)]\n"
        "for _ in range(2): events.instant('b'); progress(2)\n",
        file,
        OWN=str(tmp_path / "own"),
        DLROVERD_PROGRESS_FILE=str(tmp_path / "page"),
    )
    assert said.code == 0
    assert (tmp_path / "own").read_bytes() == b""
    assert [each["n"] for each in said.events] == ["user.a", "user.b", "trainer.events_dropped"]


def test_a_step_that_ends_well_is_progress(file: Path, tmp_path: Path) -> None:
    script = (
        EVENTS + "with events.step(41): pass\ntry:\n    with events.step(42): raise ValueError\nexcept ValueError: pass"
    )
    run(script, file, DLROVERD_PROGRESS_FILE=str(tmp_path / "page"))
    assert int.from_bytes((tmp_path / "page").read_bytes()[16:24], "little") == 41


@pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime, which `make test` installs, is not there")
def test_a_clock_that_jumps_back_breaks_no_span(file: Path, tmp_path: Path) -> None:
    stamp = tmp_path / "stamp"
    stamp.write_text("@2030-01-01 00:00:00")
    library = next(path for path in Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    script = EVENTS + (
        "import os\nwith events.span('jump'), open(os.environ['FAKETIME_TIMESTAMP_FILE'], 'w') as stamp:\n"
        "    stamp.write('@2020-01-01 00:00:00')\n"
    )
    fake = {"FAKETIME_TIMESTAMP_FILE": str(stamp), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    first, last = run(script, file, LD_PRELOAD=str(library), **fake).events
    assert first["t"] - last["t"] > 9 * 365 * 86400
    assert 0 <= last["m"] - first["m"] < 60
    assert (first["sp"], first["k"], last["k"]) == (last["sp"], "b", "e")
