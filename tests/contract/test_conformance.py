"""The built-in plugins pass the suites that strangers' run; the suites catch plugins that break the rules."""

import ctypes
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from dlroverd_agent.checkups.builtin.instant import CHECKS
from dlroverd_agent.devices.none import NoDevices
from dlroverd_agent.devices.nvidia import NvidiaDevices

from dlroverd.builtin.fifo import FifoScheduler
from dlroverd.builtin.file_sink import FileSink
from dlroverd.builtin.straggler import StragglerRule
from dlroverd.builtin.webhook_sink import WebhookSink
from dlroverd.plugin_api import (
    Action,
    Conclusion,
    DeviceProcess,
    DeviceReading,
    Devices,
    DiagnosisRule,
    EventsRefused,
    EventView,
    Finding,
    GangPlacement,
    NoFit,
    Placement,
    PlacementView,
    Preempt,
    Remedy,
    Scheduler,
    WorldView,
)
from dlroverd.testing.conformance import (
    DeviceConformance,
    DiagnosisConformance,
    NodeCheckConformance,
    SchedulerConformance,
    SinkConformance,
)
from dlroverd.testing.conformance.sink import Delivered
from tests.system.nvml_stand_in.gpus import Gpus
from tests.unit.plugins.test_webhook_sink import SECRET, receiving


class TestFifo(SchedulerConformance):
    make = FifoScheduler


class TestFile(SinkConformance):
    make = FileSink

    def settings(self, directory: Path) -> dict[str, str]:
        return {"path": str(directory / "events.jsonl")}

    def delivered(self, settings: dict[str, str]) -> Delivered:
        with open(settings["path"], encoding="utf-8") as file:
            return [(event["position"], event["index"]) for event in map(json.loads, file)]


class TestWebhook(SinkConformance):
    make = WebhookSink

    @pytest.fixture(autouse=True)
    def _receiver(self) -> Iterator[None]:
        """Have a receiver that finds 1 MB too much."""
        with receiving() as self.receiver:
            self.receiver.answer = lambda batch: 413 if len(json.dumps(batch)) > 1_000_000 else 204
            yield

    def settings(self, directory: Path) -> dict[str, str]:
        secret = directory / "secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        return {"url": f"http://127.0.0.1:{self.receiver.server_port}/", "secret_file": str(secret)}

    def delivered(self, settings: dict[str, str]) -> Delivered:  # noqa: ARG002 - the receiver knows
        return self.receiver.taken


class TestNone(DeviceConformance):
    make = NoDevices


class TestNvidia(DeviceConformance):
    make = NvidiaDevices

    @pytest.fixture(autouse=True)
    def _driver(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Load the stand-in under the name that pynvml asks for; elsewhere its driver is then not loaded."""
        gpus = Gpus(tmp_path)
        gpus.set(f"process 2 {os.getpid()} 1000", "lost 5")
        monkeypatch.setenv("DLROVERD_NVML_FILE", str(gpus.file))
        ctypes.CDLL(str(gpus.library))


class TestChecks(NodeCheckConformance):
    @pytest.fixture(autouse=True, params=CHECKS, ids=lambda check: check.name)
    def _check(self, request: pytest.FixtureRequest) -> None:
        """Take each of ours in turn."""
        self.make = lambda: request.param  # type: ignore[assignment, misc] # any way to make one will do


class Greedy:
    """Gives every gang the first nodes, whatever they have free."""

    def place(self, view: PlacementView) -> Placement | NoFit:
        names = tuple(node.node for node in view.nodes)
        return Placement(
            gangs=tuple(
                GangPlacement(role=gang.role, gang=gang.gang, nodes=names[: gang.nodes_min])
                for gang in view.request.gangs
            )
        )


class Moody(FifoScheduler):
    """Refuses each second time."""

    def __init__(self) -> None:
        self._asked = 0

    def place(self, view: PlacementView) -> Placement | NoFit | Preempt:
        self._asked += 1
        return super().place(view) if self._asked % 2 else NoFit(reason="not today")


class Silent(FifoScheduler):
    """Gives no reason."""

    def place(self, view: PlacementView) -> Placement | NoFit:
        answer = super().place(view)
        return answer if isinstance(answer, Placement) else NoFit(reason="")


class Buffering(FileSink):
    """Acknowledges what it has not written."""

    def __init__(self) -> None:
        self._kept: tuple[EventView, ...] = ()

    def write(self, batch: tuple[EventView, ...]) -> None:
        self._kept += batch

    def close(self) -> None:
        super().write(self._kept)
        super().close()


def scheduler_tests(scheduler: type[Scheduler]) -> list[str]:
    class Suite(SchedulerConformance):
        make: ClassVar[type[Scheduler]] = scheduler

    return failing(Suite())


def failing(suite: object, *arguments: object) -> list[str]:
    failed = []
    for name in sorted(dir(suite)):
        if name.startswith("test_"):
            try:
                getattr(suite, name)(*arguments)
            except AssertionError:
                failed.append(name)
    return failed


@pytest.mark.parametrize(
    ("scheduler", "caught"),
    [
        (Greedy, "test_an_answer_places_all_gangs_within_what_is_free_or_none"),
        (Moody, "test_the_same_view_gets_the_same_answer"),
        (Silent, "test_an_empty_fleet_gets_a_reason"),
    ],
)
def test_a_scheduler_that_breaks_a_rule_is_caught(scheduler: type[Scheduler], caught: str) -> None:
    assert caught in scheduler_tests(scheduler)


def test_a_sink_that_acknowledges_what_it_only_buffers_is_caught(tmp_path: Path) -> None:
    class Suite(TestFile):
        make = Buffering

    with pytest.raises(AssertionError):
        Suite().test_what_was_acknowledged_has_arrived_in_order(tmp_path)


def reading(**changes: Any) -> DeviceReading:
    return replace(DeviceReading(uuid="GPU-1", model="m", memory_bytes=1), **changes)


class Shuffling(NoDevices):
    """Lists its devices in another order each time."""

    turns = 0

    def read(self) -> tuple[DeviceReading, ...]:
        Shuffling.turns += 1
        return tuple(reading(uuid=name) for name in ("ab" if Shuffling.turns % 2 else "ba"))


def misreading(*readings: DeviceReading) -> type[Devices]:
    class Misreading(NoDevices):
        def read(self) -> tuple[DeviceReading, ...]:
            return readings

    return Misreading


class Choosy(FileSink):
    """Never takes what is large, and has the whole batch pay for it."""

    def write(self, batch: tuple[EventView, ...]) -> None:
        if any(len(event.body) > 1_000_000 for event in batch):
            raise EventsRefused({(event.position, event.index): "too large" for event in batch})
        super().write(batch)


def test_a_sink_that_refuses_more_than_it_must_is_caught(tmp_path: Path) -> None:
    class Suite(TestFile):
        make = Choosy

    with pytest.raises(AssertionError, match="which is as ever"):
        Suite().test_a_large_event_is_taken_or_refused(tmp_path)


@pytest.mark.parametrize(
    "devices",
    [
        Shuffling,
        misreading(reading(uuid="")),
        misreading(reading(uuid="GPU-1,GPU-2")),
        misreading(reading(), reading()),
        misreading(reading(memory_bytes=-1)),
        misreading(reading(nodes=("/dev/../etc/shadow",))),
        misreading(reading(nodes=("nvidia0",))),
        misreading(reading(processes=(DeviceProcess(pid=0),))),
    ],
)
def test_a_device_plugin_that_breaks_a_rule_is_caught(devices: type[Devices]) -> None:
    class Suite(DeviceConformance):
        make: ClassVar[type[Devices]] = devices

    assert len(failing(Suite())) == 1


class TestStraggler(DiagnosisConformance):
    make = StragglerRule


class Tired(DiagnosisRule):
    """Finds everything tired, and says so in whatever way breaks a rule."""

    said: ClassVar[dict[str, Any]] = {}

    def observe(self, view: WorldView) -> tuple[Finding, ...]:
        return tuple(Finding(kind="f", sentence="", rank=each.rank, node=each.node) for each in view.ranks[:1])

    def conclude(self, findings: tuple[Finding, ...]) -> tuple[Conclusion, ...]:
        about = {"kind": "tired", "sentence": "it is tired", "confidence": 1.0}
        return tuple(Conclusion(**{**about, "rank": each.rank, "node": each.node, **self.said}) for each in findings)

    def prescribe(self, conclusions: tuple[Conclusion, ...]) -> tuple[Action, ...]:
        return tuple(Action(remedy=Remedy.RESTART, kind="tired", rank=0, node="n1") for _ in conclusions)


@pytest.mark.parametrize(
    "said",
    [
        {"kind": "Tired out"},
        {"kind": "weary"},  # and prescribes for what it calls tired
        {"sentence": ""},
        {"sentence": "x" * 501},
        {"rank": 99},
        {"node": "n9"},
        {"node": "n2"},
        {"device": "GPU-1"},
        {"confidence": 1.5},
        {"since": float("nan")},
        {"evidence": ("x" * 501,)},
    ],
)
def test_a_diagnosis_rule_that_breaks_a_rule_is_caught(said: dict[str, Any]) -> None:
    class Bad(Tired):
        pass

    Bad.said = said

    class Suite(DiagnosisConformance):
        make: ClassVar[type[DiagnosisRule]] = Bad

    with pytest.raises(ValueError, match=r"\w+ \w+"):
        Suite().test_what_it_says_of_any_world_keeps_the_rules()


def test_a_diagnosis_rule_that_speaks_of_what_is_unknown_is_caught() -> None:
    class Suite(DiagnosisConformance):
        make: ClassVar[type[DiagnosisRule]] = Tired

    assert failing(Suite()) == ["test_nothing_ails_a_world_of_which_nothing_is_known"]


class Calm(Tired):
    """Finds nothing."""

    def observe(self, view: WorldView) -> tuple[Finding, ...]:  # noqa: ARG002 - it looks away
        return ()


class TestCalm(DiagnosisConformance):
    make = Calm
