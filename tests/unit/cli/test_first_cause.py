"""What `job why` says of an incident: one line for the cause, the evidence, victims apart, and what to do."""

from dataclasses import replace

from dlroverd.cli.job import first_cause, why
from dlroverd.model.explain import Rejected
from dlroverd.model.fault import Cause, CauseKind, ErrorReport, ExitInfo
from dlroverd.model.ids import RankKey
from dlroverd.model.kernel_log import KernelLine, KernelLog, KernelWindow
from dlroverd.model.view import DryRunView, IncidentView
from tests.unit.cli.test_sentences import INCIDENT, JOB

KEY = RankKey(3, "trainer", 0, 1, 2)
REMEDY = "a bug in native code; PYTHONFAULTHANDLER=1 shows where"
SEGV = Cause(
    kind=CauseKind.SIGNAL,
    rule="signal.segv",
    sentence=f"rank 2 on n2 was killed by SIGSEGV; {REMEDY}",
    rank=KEY,
    node="n2",
    exit=ExitInfo(exited_at=1.0, signal=11, step=5, output_tail="step 4\nstep 5", result="core-dump"),
    remedy=REMEDY,
    device="GPU-7",
)
WINDOW = KernelWindow(since=1.0, until=36.0)
KERNEL = KernelLog(node="n2", window=WINDOW, lines=(KernelLine(at=20.0, priority=6, text="python[7]: segfault at 0"),))
LOST = Cause(kind=CauseKind.NODE_LOST, rule="node.lost", sentence="node n2 was lost under 3/trainer/0", node="n2")


def incident(cause: Cause | None, **changes: object) -> IncidentView:
    return replace(INCIDENT, cause=cause, **changes)  # type: ignore[arg-type] # fields of it


def victim(rank: int, node: str, said: str = "Connection closed by peer") -> Cause:
    key, sentence = replace(KEY, rank=rank), f"rank {rank} on {node} raised RuntimeError: {said}"
    return Cause(kind=CauseKind.PEER_LOST, rule="peer.lost", sentence=sentence, rank=key, node=node)


def test_the_headline_names_rank_node_device_and_reason_and_not_the_remedy() -> None:
    assert first_cause.headline(SEGV) == "rank 2 on n2 (device GPU-7) was killed by SIGSEGV"
    assert first_cause.headline(replace(SEGV, device="", remedy="")) == SEGV.sentence, "an older daemon's"
    assert first_cause.headline(replace(LOST, device="GPU-7")).endswith("3/trainer/0 (device GPU-7)")
    assert first_cause.headline(LOST) == LOST.sentence


def test_the_evidence_says_by_what_it_is_known() -> None:
    said = first_cause.evidence(SEGV)
    assert said.startswith("it ended by signal 11, systemd's word core-dump at ")
    assert said.endswith(" after step 5 (rule signal.segv)")
    error = ErrorReport(source="traceback", type="ValueError", message="")
    raised = replace(SEGV, rule="python.exception", exit=ExitInfo(exited_at=1.0, code=1, error=error))
    assert first_cause.evidence(raised).endswith(" and the traceback it printed (rule python.exception)")
    assert first_cause.evidence(LOST) == "no sign of life of that node, and a second sign (rule node.lost)"
    unknown = replace(SEGV, exit=ExitInfo(exited_at=1.0, lost="the host was rebooted"), rule="host.rebooted")
    assert "could not be learnt: the host was rebooted" in first_cause.evidence(unknown)
    assert first_cause.evidence(replace(LOST, rule="of.a.newer.daemon")) == "rule of.a.newer.daemon"


def test_victims_that_ended_alike_share_a_line_and_long_ones_are_cut() -> None:
    seen = incident(SEGV, victims=(victim(1, "n1"), victim(3, "n2"), victim(0, "n1"), replace(SEGV, rule="signal")))
    alike, other = first_cause.victims(seen)
    assert alike.endswith(
        "rank 1 on n1 raised RuntimeError: Connection closed by peer; likewise rank 0 on n1, rank 3 on n2"
    )
    assert other == SEGV.sentence
    (cut,) = first_cause.victims(incident(SEGV, victims=(victim(1, "n1", "x" * 1000),)))
    assert len(cut) == 200


def test_what_was_done_and_what_to_do_follow_the_state() -> None:
    running, failed = replace(JOB, state="running"), replace(JOB, state="failed")
    assert first_cause.done(incident(SEGV)) == "restart 1 of 3; step 41 came 2.9 s after the fault"
    assert first_cause.done(incident(SEGV, step=-1)) == "restart 1 of 3; no step was seen since"
    assert first_cause.done(incident(SEGV, step=-1, open=True)) == "restart 1 of 3; its next step is awaited"
    assert first_cause.done(incident(None, action="")) == ""
    ended = f"failed: {SEGV.sentence}"
    assert first_cause.done(incident(SEGV, action=ended)) == "the job was ended as failed"
    assert first_cause.done(incident(SEGV, action=f"{ended}; by on_failure rule 2")).endswith(": by on_failure rule 2")
    output = "`dlroverctl job logs 3 --round 1 --rank 2` has all that it printed"
    assert list(first_cause.to_do(running, incident(SEGV))) == [
        "nothing for this job: it trains again",
        REMEDY,
        output,
    ]
    assert list(first_cause.to_do(failed, incident(SEGV))) == [f"{REMEDY}; then submit it again", output]
    assert list(first_cause.to_do(failed, incident(LOST))) == ["`dlroverctl node why n2` says how that node is"]
    assert list(first_cause.to_do(failed, incident(None))) == [
        "wait: the cause is named once its ranks have been stopped"
    ]


def test_a_job_that_waits_says_which_nodes_it_cannot_have() -> None:
    waits = DryRunView(rejected=(Rejected(node="n1", reason="0 of 4 slots free"),))
    waiting = replace(JOB, state="queued", reason="needs 1 node", incidents=(), goodput=None)
    assert why.lines(why.Known(waiting, waits))[1:] == ["nodes it cannot have:", "  n1: 0 of 4 slots free"]
    document = why.document(why.Known(waiting, waits))
    assert document["rejected"] == [{"node": "n1", "reason": "0 of 4 slots free"}]
    assert (document["cause"], document["to_do"]) == (None, [])


def test_the_newest_incident_comes_first_and_the_others_in_a_line_each() -> None:
    job = replace(JOB, incidents=tuple(incident(SEGV if at % 2 else None, id=at) for at in range(1, 14)))
    said = why.lines(why.Known(job, kernels=(KERNEL,)))
    text = "\n".join(said)
    assert "Incident 13 at " in text
    assert "python[7]: segfault at 0" in text
    assert "Its last words:\n    step 4\n    step 5\n" in text
    assert "Before that, and 2 more before those:" in said
    assert [line.split()[1] for line in said if line.startswith("    incident ")] == [
        str(at) for at in range(12, 2, -1)
    ]
    assert why.document(why.Known(job))["headline"] == first_cause.headline(SEGV)


def test_kernel_lines_silence_and_what_cannot_be_read_are_three_things() -> None:
    assert [line.partition(" ")[0] for line in first_cause.kernel(KERNEL)] == ["The", ""]
    (silent,) = first_cause.kernel(replace(KERNEL, lines=()))
    assert silent.startswith("The kernel of n2 said nothing from ")
    (unread,) = first_cause.kernel(replace(KERNEL, problem="node n2 keeps no journal"))
    assert unread == "Kernel lines cannot be had: node n2 keeps no journal."
    many = replace(KERNEL, lines=KERNEL.lines * 3)
    assert [len(list(first_cause.kernel(many, most))) for most in (2, 3)] == [3, 4]
    assert next(first_cause.kernel(many, 2)).endswith(", the newest of more:")
