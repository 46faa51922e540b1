"""Worlds: gangs formed, checked, started and stopped, and how far their ranks get."""

from dlroverd.model import event as ev
from dlroverd.model.spooled import EventKind, Severity
from dlroverd.model.vocabulary.schema import fact, where

_WORLD = "job/{gang[job]}/gang/{gang[role]}/{gang[gang]}/world"
_OF_ROUND = "job/{round[job]}/gang/{round[role]}/{round[gang]}/world"
_OF_TOMBSTONE = "job/{tombstone[round][job]}/gang/{tombstone[round][role]}/{tombstone[round][gang]}/world"
_JOB = "job/{round[job]}"

SCHEMAS = (
    fact(
        ev.WorldFormed,
        kind=EventKind.BEGIN,
        span=_OF_ROUND,
        parent=_JOB,
        dlrover=(
            "master.rendezvous",
            "master.worker_relaunch",
            "agent.rendezvous",
            "agent.process_restart_membership",
            "controller.starting",
            "elastic.starting_elastic_job",
            "action.join_rendezvous",
            "action.rendezvous_complete",
        ),
    ),
    fact(
        ev.NodeChecked,
        where({"check.problem": ("",), "check.mismatch": ("",)}, Severity.DEBUG),
        severity=Severity.WARNING,
        about="check.round",
        cause="check.problem",
        dlrover=(
            "master.network_check",
            "agent.network_check",
            "declared.pre_check",
            "controller.node_check",
            "elastic.comm_check",
            "action.pre_check_pass",
            "action.pre_check_fail",
            "action.pre_check_error",
            "action.pre_check_timeout",
        ),
    ),
    fact(ev.WorldCleared, parent=_OF_ROUND),
    fact(
        ev.GangMoved,
        where({"to": ("stopped", "succeeded")}, Severity.INFO, EventKind.END, _WORLD, "job/{gang[job]}"),
        parent=_WORLD,
        dlrover=(
            "controller.wait_actors_ready",
            "controller.failover_success",
            "worker.running",
            "action.training_start",
        ),
    ),
    fact(
        ev.GangStopping,
        parent=_OF_TOMBSTONE,
        about="tombstone.round",
        cause="tombstone.reason",
        says={"nodes": "the nodes that it is to be stopped on"},
        dlrover=("controller.stopping",),
    ),
    fact(ev.GangReleased, severity=Severity.DEBUG, parent="job/{gang[job]}"),
    fact(ev.GangStopOverdue, severity=Severity.WARNING, parent=_WORLD),
    fact(
        ev.StaleRanksSeen,
        severity=Severity.WARNING,
        about="tombstone.round",
        cause="tombstone.reason",
    ),
    fact(ev.TombstoneCleared, severity=Severity.DEBUG),
    fact(
        ev.RanksSeen,
        about="ranks.key",
        dlrover=(
            "master.worker_event",
            "master.worker_create",
            "agent.process_succeeded",
            "agent.process_fail",
            "elastic.checking_workers",
            "action.worker_create",
            "action.status_update",
        ),
    ),
    fact(ev.StepSeen, parent=_OF_ROUND, dlrover=("action.global_step",)),
    fact(ev.CheckpointSeen, parent=_OF_ROUND),
    fact(ev.CheckpointsOffered, severity=Severity.DEBUG, parent=_OF_ROUND),
    fact(ev.SaveAsked, parent=_OF_ROUND),
    fact(ev.CadenceSet, parent=_OF_ROUND),
    fact(ev.WorldCaughtUp, parent=_OF_ROUND),
    fact(ev.SparesKept, severity=Severity.DEBUG, parent="job/{gang[job]}"),
    fact(ev.RanksAdopted, kind=EventKind.BEGIN, span=_OF_ROUND, parent=_JOB),
)
