"""pynvml's real code finds in the stand-in what it was told to be."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.fleet import until
from tests.system.nvml_stand_in.gpus import Gpus, uuid

# Answers one expression a line; `gpu(i)` is a handle.
ASKING = """
import json, sys
import pynvml
from pynvml import *
nvmlInit()
gpu = nvmlDeviceGetHandleByIndex
events = nvmlEventSetCreate()
for index in range(nvmlDeviceGetCount()):
    nvmlDeviceRegisterEvents(gpu(index), nvmlEventTypeXidCriticalError, events)
def xid():
    event = nvmlEventSetWait_v2(events, 20)
    return [nvmlDeviceGetIndex(event.device), event.eventType, event.eventData]
print(flush=True)
for line in sys.stdin:
    try:
        print(json.dumps(eval(line)), flush=True)
    except NVMLError as error:
        print(json.dumps(str(error)), flush=True)
"""


class Asker:
    """A process that uses pynvml on the stand-in."""

    def __init__(self, gpus: Gpus) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", ASKING],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | gpus.environment,
        )
        assert self.process.stdin
        assert self.process.stdout
        self._questions, self._answers = self.process.stdin, self.process.stdout
        assert self._answers.readline() == "\n"

    def put(self, expression: str) -> None:
        self._questions.write(f"{expression}\n")
        self._questions.flush()

    def __call__(self, expression: str) -> Any:
        self.put(expression)
        return json.loads(self._answers.readline())


@pytest.fixture
def gpus(tmp_path: Path) -> Gpus:
    return Gpus(tmp_path)


@pytest.fixture
def ask(gpus: Gpus) -> Iterator[Asker]:
    asker = Asker(gpus)
    yield asker
    asker.process.kill()
    asker.process.communicate()


def test_it_is_a_healthy_host_of_eight(ask: Asker) -> None:
    assert ask("[nvmlDeviceGetUUID(gpu(i)) for i in range(nvmlDeviceGetCount())]") == [uuid(i) for i in range(8)]
    assert ask("[nvmlDeviceGetMinorNumber(gpu(i)) for i in range(8)]") == list(range(8))
    assert ask("nvmlDeviceGetIndex(nvmlDeviceGetHandleByUUID(nvmlDeviceGetUUID(gpu(6))))") == 6
    assert ask("nvmlDeviceGetHandleByIndex(8)") == "Invalid Argument"
    assert ask("nvmlDeviceGetSerial(gpu(1))") == "1320021000001"
    assert ask("nvmlDeviceGetName(gpu(0))") == "NVIDIA Stand-In"
    assert ask("nvmlDeviceGetPciInfo(gpu(1)).busId") == "00000000:11:00.0"
    assert ask("nvmlSystemGetDriverVersion()") == "570.0"
    assert ask("nvmlSystemGetCudaDriverVersion_v2()") == 12080
    healthy = "nvmlDeviceGetTotalEccErrors(gpu(0), NVML_MEMORY_ERROR_TYPE_UNCORRECTED, NVML_AGGREGATE_ECC)"
    assert ask(healthy) == 0
    assert ask("nvmlDeviceGetComputeRunningProcesses(gpu(0))") == []
    assert ask("xid()") == "Timeout"


def test_what_is_set_is_seen_by_the_next_call(gpus: Gpus, ask: Asker) -> None:
    gpus.set(
        *("model NVIDIA H200", "memory 1000", "uuid 3 GPU-x", "minor 3 7", "process 3 4711 600", "process 3 4712 100"),
        *("ecc 3 5 2", "remapped 3 1 2 1 0", "temperature 3 85", "power 3 699000", "clocks 3 345 1593"),
        *("throttle 3 0x40", "utilisation 3 97 40"),
    )
    assert ask("nvmlDeviceGetName(gpu(3))") == "NVIDIA H200"
    assert ask("[nvmlDeviceGetUUID(gpu(3)), nvmlDeviceGetMinorNumber(gpu(3))]") == ["GPU-x", 7]
    running = "[[p.pid, p.usedGpuMemory] for p in nvmlDeviceGetComputeRunningProcesses(gpu(3))]"
    assert ask(running) == [[4711, 600], [4712, 100]]
    for version in ("", ", nvmlMemory_v2"):
        assert ask(f"[(m.total, m.used, m.free) for m in [nvmlDeviceGetMemoryInfo(gpu(3){version})]]") == [
            [1000, 700, 300]
        ]
    ecc = "[nvmlDeviceGetTotalEccErrors(gpu(3), kind, NVML_VOLATILE_ECC) for kind in (0, 1)]"
    assert ask(ecc) == [5, 2]
    assert ask("nvmlDeviceGetRemappedRows(gpu(3))") == [1, 2, 1, 0]
    assert ask("nvmlDeviceGetTemperature(gpu(3), NVML_TEMPERATURE_GPU)") == 85
    assert ask("[nvmlDeviceGetPowerUsage(gpu(3)), nvmlDeviceGetEnforcedPowerLimit(gpu(3))]") == [699000, 700000]
    assert ask("[nvmlDeviceGetClockInfo(gpu(3), kind) for kind in (NVML_CLOCK_SM, NVML_CLOCK_MEM)]") == [345, 1593]
    assert ask("nvmlDeviceGetMaxClockInfo(gpu(3), NVML_CLOCK_SM)") == 1980
    assert ask("nvmlDeviceGetCurrentClocksThrottleReasons(gpu(3))") == 0x40
    assert ask("[(u.gpu, u.memory) for u in [nvmlDeviceGetUtilizationRates(gpu(3))]]") == [[97, 40]]
    assert ask("nvmlDeviceGetTemperature(gpu(2), NVML_TEMPERATURE_GPU)") == 40


def test_each_xid_is_told_once_in_order(gpus: Gpus, ask: Asker) -> None:
    assert ask("xid()") == "Timeout"
    gpus.set("xid 2 48", "xid 5 79")
    assert ask("xid()") == [2, 8, 48]
    assert ask("xid()") == [5, 8, 79]
    assert ask("xid()") == "Timeout"
    gpus.set("xid 2 48", "xid 5 79", "xid 0 94")
    assert ask("xid()") == [0, 8, 94]


def test_gpus_that_are_lost_or_gone(gpus: Gpus, ask: Asker) -> None:
    gpus.set("lost 5", "gone 2")
    assert ask("nvmlDeviceGetCount()") == 7
    assert ask("nvmlDeviceGetUUID(gpu(2))") == uuid(3)
    assert ask("gpu(4)") == "GPU is lost"
    assert ask("nvmlDeviceGetUUID(gpu(6))") == uuid(7)
    gpus.set()
    assert ask("nvmlDeviceGetCount()") == 8


def test_calls_that_fail_or_never_return(gpus: Gpus, ask: Asker) -> None:
    gpus.set("fail nvmlDeviceGetName 999")
    assert ask("nvmlDeviceGetName(gpu(0))") == "Unknown Error"
    gpus.unload()
    assert ask("nvmlDeviceGetName(gpu(0))") == "Driver Not Loaded"
    gpus.set("block nvmlDeviceGetName")
    assert ask("nvmlDeviceGetUUID(gpu(0))") == uuid(0)
    ask.put("nvmlDeviceGetName(gpu(0))")
    # In the call all signals are blocked; before it TERM would simply end the process.
    until(lambda: _blocked(ask.process.pid), lambda mask: bool(mask & 1 << signal.SIGTERM - 1))
    ask.process.terminate()
    with pytest.raises(subprocess.TimeoutExpired):
        ask.process.wait(0.5)
    ask.process.kill()
    assert ask.process.wait(30) == -9


def _blocked(pid: int) -> int:
    """Give the mask of the signals that a process blocks."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("SigBlk:\t")[2].split()[0], 16)
