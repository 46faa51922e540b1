"""What ends are called: real ones of real ranks (tests/recordings/recorded), and reported ones (documented)."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from dlroverd.core.classify import attribute, blames_node, classify
from dlroverd.core.classify.table import RULES
from dlroverd.core.records import RankRecord
from dlroverd.model.fault import (
    CONFIRMED_DOWN,
    LEASE_RAN_OUT,
    REBOOTED,
    SHUT_DOWN,
    Cause,
    CauseKind,
    ErrorReport,
    ExitInfo,
)
from dlroverd.model.ids import RankKey
from dlroverd.model.job import RankState
from tests.recordings.reading import BEGAN_AT, of_case, recordings

EXPECTED = {
    "cuda_assert.0": ("cuda.assert", CauseKind.EXCEPTION),
    "cuda_busy.0": ("cuda.absent", CauseKind.DEVICE_ERROR),
    "cuda_driver_insufficient.0": ("cuda.driver", CauseKind.DEVICE_ERROR),
    "cuda_driver_too_old.0": ("cuda.driver", CauseKind.DEVICE_ERROR),
    "cuda_ecc.0": ("cuda.ecc", CauseKind.DEVICE_ERROR),
    "cuda_gpu_lost.0": ("cuda.lost", CauseKind.DEVICE_ERROR),
    "cuda_illegal_access.0": ("cuda.crash", CauseKind.DEVICE_CRASH),
    "cuda_no_capable_device.0": ("cuda.absent", CauseKind.DEVICE_ERROR),
    "cuda_no_device.0": ("cuda.absent", CauseKind.DEVICE_ERROR),
    "cuda_not_initialized.0": ("cuda.not_ready", CauseKind.DEVICE_ERROR),
    "cuda_nvlink.0": ("cuda.nvlink", CauseKind.DEVICE_ERROR),
    "cuda_out_of_memory.0": ("cuda.out_of_memory", CauseKind.DEVICE_OUT_OF_MEMORY),
    "cuda_out_of_memory_before_2_0.0": ("cuda.out_of_memory", CauseKind.DEVICE_OUT_OF_MEMORY),
    "cuda_unspecified_launch_failure.0": ("cuda.crash", CauseKind.DEVICE_CRASH),
    "disk_quota.0": ("disk.quota", CauseKind.DISK_FULL),
    "loader_bus_error.0": ("memory.shared", CauseKind.HOST_LIMIT),
    "nccl_cuda.0": ("nccl.cuda", CauseKind.DEVICE_CRASH),
    "nccl_infiniband.0": ("net.infiniband", CauseKind.NETWORK),
    "nccl_remote.0": ("peer.lost", CauseKind.PEER_LOST),
    "nccl_system.0": ("nccl.system", CauseKind.NETWORK),
    "nccl_usage.0": ("nccl.usage", CauseKind.EXCEPTION),
    "nccl_watchdog.0": ("peer.silent", CauseKind.PEER_LOST),
    "open_files_ancdata.0": ("limit.files", CauseKind.HOST_LIMIT),
    "abort.0": ("signal.abort", CauseKind.SIGNAL),
    "all_reduce.0": ("peer.lost", CauseKind.PEER_LOST),
    "all_reduce.1": ("signal.kill", CauseKind.SIGNAL),
    "bad_arguments.0": ("python.arguments", CauseKind.BAD_ARGUMENTS),
    "barrier.0": ("peer.lost", CauseKind.PEER_LOST),
    "barrier.1": ("signal.kill", CauseKind.SIGNAL),
    "broadcast.0": ("peer.lost", CauseKind.PEER_LOST),
    "broadcast.1": ("signal.kill", CauseKind.SIGNAL),
    "bus.0": ("signal.bus", CauseKind.SIGNAL),
    "chained_exception.0": ("python.exception", CauseKind.EXCEPTION),
    "cpp_exception.0": ("python.exception", CauseKind.EXCEPTION),
    "cpp_no_memory.0": ("memory.python", CauseKind.OUT_OF_MEMORY),
    "ddp_backward.0": ("peer.lost", CauseKind.PEER_LOST),
    "ddp_backward.1": ("signal.kill", CauseKind.SIGNAL),
    "disk_full.0": ("disk.full", CauseKind.DISK_FULL),
    "disk_full_torch_save.0": ("disk.full", CauseKind.DISK_FULL),
    "exception.0": ("python.exception", CauseKind.EXCEPTION),
    "exception_group.0": ("python.exception", CauseKind.EXCEPTION),
    "exit_1.0": ("exit.code", CauseKind.EXIT_CODE),
    "exit_128.0": ("exit.unknown_device", CauseKind.DEVICE_ERROR),
    "exit_14.0": ("exit.inforom", CauseKind.DEVICE_ERROR),
    "exit_201.0": ("exit.device", CauseKind.DEVICE_ERROR),
    "exit_202.0": ("exit.leftovers", CauseKind.DEVICE_ERROR),
    "exit_247.0": ("exit.memory", CauseKind.OUT_OF_MEMORY),
    "exit_3.0": ("exit.code", CauseKind.EXIT_CODE),
    "exit_with_words.0": ("exit.code", CauseKind.EXIT_CODE),
    "fpe.0": ("signal.fpe", CauseKind.SIGNAL),
    "hup.0": ("signal", CauseKind.SIGNAL),
    "ill.0": ("signal.illegal", CauseKind.SIGNAL),
    "import_error.0": ("python.import", CauseKind.IMPORT_ERROR),
    "keyboard_interrupt.0": ("python.interrupted", CauseKind.SIGNAL),
    "kill.0": ("signal.kill", CauseKind.SIGNAL),
    "loader_worker_killed.0": ("loader.killed", CauseKind.SIGNAL),
    "loader_worker_raises.0": ("python.exception", CauseKind.EXCEPTION),
    "memory_error.0": ("memory.python", CauseKind.OUT_OF_MEMORY),
    "missing_module.0": ("script.missing", CauseKind.MISSING_SCRIPT),
    "missing_script.0": ("script.missing", CauseKind.MISSING_SCRIPT),
    "module_not_found.0": ("python.import", CauseKind.IMPORT_ERROR),
    "monitored_barrier.0": ("peer.lost", CauseKind.PEER_LOST),
    "monitored_barrier.1": ("signal.kill", CauseKind.SIGNAL),
    "no_cuda_in_torch.0": ("python.exception", CauseKind.EXCEPTION),
    "no_fork.0": ("limit.processes", CauseKind.HOST_LIMIT),
    "no_permission_to_run.0": ("launch.permission", CauseKind.PERMISSION),
    "no_program.0": ("launch.failed", CauseKind.LAUNCH),
    "no_thread.0": ("limit.processes", CauseKind.HOST_LIMIT),
    "one_of_four_exits.0": ("peer.lost", CauseKind.PEER_LOST),
    "one_of_four_exits.1": ("peer.lost", CauseKind.PEER_LOST),
    "one_of_four_exits.2": ("exit.code", CauseKind.EXIT_CODE),
    "one_of_four_exits.3": ("peer.lost", CauseKind.PEER_LOST),
    "one_of_four_raises.0": ("peer.lost", CauseKind.PEER_LOST),
    "one_of_four_raises.1": ("peer.lost", CauseKind.PEER_LOST),
    "one_of_four_raises.2": ("python.exception", CauseKind.EXCEPTION),
    "one_of_four_raises.3": ("peer.lost", CauseKind.PEER_LOST),
    "open_files.0": ("limit.files", CauseKind.HOST_LIMIT),
    "peer_absent.0": ("peer.lost", CauseKind.PEER_LOST),
    "permission.0": ("permission.denied", CauseKind.PERMISSION),
    "port_taken.0": ("launch.port_taken", CauseKind.PORT_TAKEN),
    "port_taken_late.0": ("torch.port_taken", CauseKind.PORT_TAKEN),
    "recv_timeout.0": ("peer.lost", CauseKind.PEER_LOST),
    "recv_timeout.1": ("peer.lost", CauseKind.PEER_LOST),
    "segv.0": ("signal.segv", CauseKind.SIGNAL),
    "shared_memory.0": ("memory.shared", CauseKind.HOST_LIMIT),
    "shell_child_crashed.0": ("exit.childs_signal", CauseKind.SIGNAL),
    "shell_child_killed.0": ("exit.childs_signal", CauseKind.SIGNAL),
    "shell_not_executable.0": ("exit.not_executable", CauseKind.PERMISSION),
    "shell_not_found.0": ("exit.not_found", CauseKind.MISSING_SCRIPT),
    "store_refused.1": ("peer.lost", CauseKind.PEER_LOST),
    "syntax_error.0": ("python.syntax", CauseKind.SYNTAX_ERROR),
    "systemd_core_dump.0": ("signal.core_dump", CauseKind.SIGNAL),
    "systemd_exit.0": ("exit.code", CauseKind.EXIT_CODE),
    "systemd_oom.0": ("memory.oom", CauseKind.OUT_OF_MEMORY),
    "systemd_oom_of_a_child.0": ("memory.oom", CauseKind.OUT_OF_MEMORY),
    "systemd_signal.0": ("signal.segv", CauseKind.SIGNAL),
    "term.0": ("signal", CauseKind.SIGNAL),
    "torch_cannot_allocate.0": ("memory.refused", CauseKind.OUT_OF_MEMORY),
    "wrapped_peer_lost.0": ("peer.lost_wrapped", CauseKind.PEER_LOST),
    "wrapped_peer_lost.1": ("signal.kill", CauseKind.SIGNAL),
}
# Rows that name facts of the host or of the agent, not words: nothing of them could be recorded from a rank.
BY_FACTS = {
    "systemd.timeout": ExitInfo(exited_at=1.0, signal=15, result="timeout"),
    "systemd.resources": ExitInfo(exited_at=1.0, result="resources"),
    "systemd.watchdog": ExitInfo(exited_at=1.0, signal=6, result="watchdog"),
    "stopped": ExitInfo(exited_at=1.0, signal=15, requested=True),
    "host.shut_down": ExitInfo(exited_at=1.0, signal=15, lost=SHUT_DOWN),
    "lease.ran_out": ExitInfo(exited_at=1.0, signal=9, lost=LEASE_RAN_OUT),
    "host.rebooted": ExitInfo(exited_at=1.0, lost=REBOOTED),
    "host.confirmed_down": ExitInfo(exited_at=1.0, lost=f"{CONFIRMED_DOWN} by ann"),
    "vanished": ExitInfo(exited_at=1.0),
    # No gloo or NCCL of ours meets these in one network.
    "net.unreachable": ExitInfo(
        exited_at=1.0,
        code=1,
        error=ErrorReport(source="traceback", type="RuntimeError", message="connect: No route to host"),
    ),
    "peer.lost_abort": ExitInfo(exited_at=1.0, signal=6, output_tail="NCCL communicator was aborted on rank 3"),
}
ALL = {each.name: each for each in recordings()}


def rank(number: int, exit_: ExitInfo, *, node: str = "n1", ended_at: float = 0.0) -> RankRecord:
    key = RankKey(1, "trainer", 0, 1, number)
    state = RankState.GONE
    return RankRecord(key=key, local_rank=number, node=node, state=state, exit=exit_, ended_at=ended_at)


def cause_of(record: RankRecord) -> Cause:
    assert record.exit is not None
    return classify(record, record.exit)


def raised(kind: str, message: str) -> ExitInfo:
    return ExitInfo(exited_at=1.0, code=1, error=ErrorReport(source="traceback", type=kind, message=message))


def test_every_recording_is_expected() -> None:
    assert sorted(ALL) == sorted(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_an_end_is_named(name: str, tmp_path: Path) -> None:
    cause = cause_of(ALL[name].record(tmp_path))
    assert (cause.rule, cause.kind) == EXPECTED[name]
    assert "{" not in cause.sentence


@pytest.mark.parametrize("rule", sorted(BY_FACTS))
def test_facts_are_named(rule: str) -> None:
    assert cause_of(rank(0, BY_FACTS[rule])).rule == rule


def test_every_row_of_the_table_is_tried() -> None:
    tried = {rule for rule, _ in EXPECTED.values()} | BY_FACTS.keys()
    assert [rule.name for rule in RULES if rule.name not in tried] == []
    assert len({rule.name for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("case", ["all_reduce", "barrier", "broadcast", "ddp_backward", "wrapped_peer_lost"])
def test_killed_rank_is_the_cause_and_the_other_its_victim(case: str, tmp_path: Path) -> None:
    victim, killed = (each.record(tmp_path) for each in of_case(case))
    cause, victims = attribute((victim, killed))
    assert cause is not None
    assert cause.rank == killed.key
    assert "SIGKILL" in cause.sentence
    assert [each.rank for each in victims] == [victim.key]


def hosts(case: str, tmp_path: Path, skew_s: float) -> Sequence[RankRecord]:
    """Give four recorded ranks as of two hosts, the second of which has a clock that is ahead by `skew_s`."""
    ranks = [each.record(tmp_path, node="n1" if each.rank < 2 else "n2") for each in of_case(case)]
    return [shifted(each, skew_s) if each.node == "n2" else each for each in ranks]


def shifted(record: RankRecord, by_s: float) -> RankRecord:
    assert record.exit is not None
    return replace(record, exit=replace(record.exit, exited_at=record.exit.exited_at + by_s))


@pytest.mark.parametrize("skew_s", [-30.0, -1.0, 0.0, 1.0, 30.0])
@pytest.mark.parametrize("case", ["one_of_four_raises", "one_of_four_exits"])
def test_the_first_cause_is_right_whatever_the_clocks_of_hosts_say(case: str, skew_s: float, tmp_path: Path) -> None:
    ranks = hosts(case, tmp_path, skew_s)
    ends = [each.ended_at for each in ranks]
    assert max(ends) - min(ends) < 2.0
    cause, victims = attribute(ranks)
    assert cause is not None
    assert cause.rank == ranks[2].key
    assert sorted(each.rank.rank for each in victims if each.rank is not None) == [0, 1, 3]
    assert {each.kind for each in victims} == {CauseKind.PEER_LOST}


@pytest.mark.parametrize("skew_s", [-30.0, 0.0, 30.0])
def test_of_equal_faults_the_first_to_reach_the_daemon_counts(skew_s: float, tmp_path: Path) -> None:
    first = ALL["segv.0"].record(tmp_path)
    later = replace(ALL["bus.0"].record(tmp_path), key=replace(first.key, rank=3), node="n2", ended_at=BEGAN_AT + 0.3)
    cause, _ = attribute((shifted(later, skew_s), first))
    assert cause is not None
    assert cause.rule == "signal.segv"


def test_on_one_host_its_own_clock_counts() -> None:
    """Both reports came at once."""
    ends = [ExitInfo(exited_at=at, signal=11) for at in (20.2, 20.1)]
    cause, _ = attribute([rank(number, end, ended_at=500.0) for number, end in enumerate(ends)])
    assert cause is not None
    assert cause.rank == RankKey(1, "trainer", 0, 1, 1)


BY_EVIDENCE = (
    ExitInfo(exited_at=9.0, signal=9, result="oom-kill"),
    raised("ValueError", "bad shape"),
    ExitInfo(exited_at=2.0, signal=11),
    ExitInfo(exited_at=1.0, code=1),
    raised("RuntimeError", "NET/IB : Got completion from peer with status=12"),
    raised("RuntimeError", "Connection closed by peer"),
)


def test_better_evidence_beats_an_earlier_time() -> None:
    ranks = [rank(number, replace(end, exited_at=-number)) for number, end in enumerate(BY_EVIDENCE)]
    for number in range(len(ranks)):
        cause, victims = attribute(reversed(ranks[number:]))
        assert cause is not None
        assert cause.rank == ranks[number].key
        assert [each.rank for each in victims] == [each.key for each in ranks[number + 1 :]]


def test_a_survivor_that_said_why_before_it_was_stopped_is_a_victim(tmp_path: Path) -> None:
    assert cause_of(ALL["all_reduce.0"].record(tmp_path, requested=True)).kind is CauseKind.PEER_LOST


def test_what_was_stopped_is_never_the_cause() -> None:
    stopped = ExitInfo(exited_at=1.0, signal=15, requested=True, output_tail="No space left on device")
    assert attribute((rank(0, stopped), rank(1, stopped))) == (None, ())
    assert attribute((rank(0, ExitInfo(exited_at=1.0, code=0)),)) == (None, ())


def test_what_was_printed_long_before_the_end_explains_nothing() -> None:
    tail = "CUDA out of memory, so the batch is halved\n" + "\n".join(f"step {n}" for n in range(20))
    assert cause_of(rank(0, ExitInfo(exited_at=1.0, code=3, output_tail=tail))).rule == "exit.code"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("ConnectionRefusedError", "[Errno 111] Connection refused"),
        ("BrokenPipeError", "[Errno 32] Broken pipe"),
        ("OSError", "[Errno 98] Address already in use"),
        ("requests.exceptions.ConnectionError", "Connection reset by peer"),
    ],
)
def test_the_scripts_own_sockets_are_its_own_matter(kind: str, message: str) -> None:
    assert cause_of(rank(0, raised(kind, message))).kind is CauseKind.EXCEPTION


def test_who_ends_with_its_host_is_not_to_blame() -> None:
    """Systemd ends all that runs with SIGTERM when a host goes down."""
    taken_along = ExitInfo(exited_at=1.0, signal=15, lost=SHUT_DOWN)
    cause = cause_of(rank(1, taken_along))
    assert cause.kind is CauseKind.NODE_LOST
    assert cause.sentence == "rank 1 on n1 is gone: the host was shut down"


def test_a_node_is_blamed_for_its_devices_and_not_for_the_jobs_code() -> None:
    def blame(kind: CauseKind) -> float:
        return blames_node(Cause(kind=kind, rule="", sentence=""))

    assert all(0.0 <= blame(kind) <= 1.0 for kind in CauseKind)
    assert blame(CauseKind.DEVICE_ERROR) > blame(CauseKind.SIGNAL) > 0.0
    assert blame(CauseKind.EXCEPTION) == blame(CauseKind.REQUESTED) == blame(CauseKind.PEER_LOST) == 0.0
