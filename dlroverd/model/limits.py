"""Every time limit and bound the core decides by. Seconds unless the name says otherwise."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an operator may set; `dlroverctl config timeouts` lists them with what happens when each fires.

    unreachable_after_s  silence until a node is called unreachable (DESIGN section 5)
    lost_by_peers_s      silence until it is lost, given two other agents that cannot reach it and none that can
    lost_after_s         silence until it is lost, given a second sign
    unreachable_limit_s  silence until it is lost without one
    placing_s            how long a scheduler plugin may take to answer before the built-in rule decides
    avoid_s              how long a job avoids a node on which its world could not be started
    stop_margin_s        beyond the grace, until a stop that has not been verified is reported as stuck
    review_s             how often a job that runs without a time limit is noted in the log as still running
    evidence_s           how long survivors of a fault may take to say why they fail, before TERM
    job_retention_s      how long a finished job stays in the state (its events stay in the log)
    """

    unreachable_after_s: float = 5.0
    lost_by_peers_s: float = 8.0
    lost_after_s: float = 15.0
    unreachable_limit_s: float = 600.0
    placing_s: float = 2.0
    avoid_s: float = 600.0
    stop_margin_s: float = 30.0
    review_s: float = 86400.0
    evidence_s: float = 0.5
    job_retention_s: float = 604800.0
    max_jobs: int = 10000
