"""Ends that only a signal, an exit code or the host explains. DLRover's exit codes mean here what they mean there."""

import signal

from dlroverd.core.classify.rule import Rule, any_of
from dlroverd.model.fault import CONFIRMED_DOWN, LEASE_RAN_OUT, REBOOTED, SHUT_DOWN, CauseKind

_NOT_OURS = "was killed by {signal}, which dlroverd did not send"


def _signal(name: str, number: signal.Signals, remedy: str, says: str = "was killed by {signal}") -> Rule:
    return Rule(name=name, kind=CauseKind.SIGNAL, says=says, remedy=remedy, signals=frozenset({number}))


def _code(name: str, kind: CauseKind, codes: set[int] | range, says: str, remedy: str = "") -> Rule:
    return Rule(name=name, kind=kind, says=says, remedy=remedy, codes=frozenset(codes))


STOPPED = (
    Rule(name="lease.ran_out", kind=CauseKind.NODE_LOST, says="is gone: {lost}", lost=any_of(rf"^{LEASE_RAN_OUT}$")),
    Rule(name="stopped", kind=CauseKind.STOPPED, says="was stopped by dlroverd", requested=True),
    Rule(
        name="host.shut_down",
        kind=CauseKind.NODE_LOST,
        says="is gone: {lost}",
        lost=any_of(rf"^{SHUT_DOWN}$"),
    ),
)

SIGNALS = (
    Rule(
        name="signal.core_dump",
        kind=CauseKind.SIGNAL,
        says="crashed with {signal} and left a core dump",
        remedy="`coredumpctl` on that node, or a file core in its working directory, shows where",
        results=frozenset({"core-dump"}),
    ),
    _signal(
        "signal.kill",
        signal.SIGKILL,
        "if nobody did, see `dmesg` there: the kernel may have run out of memory",
        _NOT_OURS,
    ),
    _signal("signal.segv", signal.SIGSEGV, "a bug in native code; PYTHONFAULTHANDLER=1 shows where"),
    _signal(
        "signal.bus",
        signal.SIGBUS,
        "shared memory (/dev/shm) or a disk is full, a mapped file was cut, or memory is defective",
    ),
    _signal("signal.abort", signal.SIGABRT, "native code gave up; its last lines of output say why"),
    _signal(
        "signal.illegal",
        signal.SIGILL,
        "a binary built for another processor, or a defective one if it comes on this node only",
    ),
    _signal("signal.fpe", signal.SIGFPE, "a division by zero in native code; PYTHONFAULTHANDLER=1 shows where"),
    Rule(name="signal", kind=CauseKind.SIGNAL, says=_NOT_OURS, signals=frozenset(range(1, 65))),
)

CODES = (
    _code(
        "exit.device",
        CauseKind.DEVICE_ERROR,
        {201},
        "ended with exit code {code}, by DLRover's table a broken device driver",
        "check the devices of that node",
    ),
    _code(
        "exit.leftovers",
        CauseKind.DEVICE_ERROR,
        {202},
        "ended with exit code {code}, by DLRover's table processes left on a device",
        "end what holds the devices of that node (`nvidia-smi`)",
    ),
    _code(
        "exit.inforom",
        CauseKind.DEVICE_ERROR,
        {14},
        "ended with exit code {code}, by DLRover's table a corrupted infoROM",
        "check the devices of that node, or use another code in your script if it means something else",
    ),
    _code(
        "exit.unknown_device",
        CauseKind.DEVICE_ERROR,
        {128},
        "ended with exit code {code}, by DLRover's table a device that is not known",
        "check the devices of that node, or use another code in your script if it means something else",
    ),
    _code(
        "exit.memory",
        CauseKind.OUT_OF_MEMORY,
        {247},
        "ended with exit code {code}: a process of its own was killed by SIGKILL, most often for memory",
        "give the job more (`memory`) or have it take less",
    ),
    _code(
        "exit.not_executable",
        CauseKind.PERMISSION,
        {126},
        "ended with exit code {code}: its shell may not run what it names",
        "run chmod +x on it, on every node",
    ),
    _code(
        "exit.not_found",
        CauseKind.MISSING_SCRIPT,
        {127},
        "ended with exit code {code}: its shell did not find what it names",
        "correct the name, or put it in PATH on every node",
    ),
    _code(
        "exit.childs_signal",
        CauseKind.SIGNAL,
        {*range(129, 160), *range(241, 256)} - {247, 255},
        "ended with exit code {code}: a process of its own was killed by {child}",
    ),
    _code("exit.code", CauseKind.EXIT_CODE, range(1, 256), "ended with exit code {code}{last}"),
)

HOSTS = (
    Rule(name="host.rebooted", kind=CauseKind.NODE_LOST, says="is gone: {lost}", lost=any_of(rf"^{REBOOTED}")),
    Rule(
        name="host.confirmed_down",
        kind=CauseKind.NODE_LOST,
        says="is gone: {lost}",
        lost=any_of(rf"^{CONFIRMED_DOWN}"),
    ),
    Rule(name="vanished", kind=CauseKind.VANISHED, says="ended, and how is not known: {lost}"),
)
