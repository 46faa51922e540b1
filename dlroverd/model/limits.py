"""Every time limit and bound the core decides by. Seconds unless the name says otherwise."""

from dataclasses import dataclass, field

from dlroverd.model.hang import HangLimits
from dlroverd.model.quota import Quota
from dlroverd.model.reputation import AutomationStage
from dlroverd.model.signal import SignalTable

# A client whose answer was lost may ask again for so long after its job's end. With the job goes the request's id, by
# which it is given that job and not another one: so no `job_retention_s` is shorter.
REQUESTS_KNOWN_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AutomationLimits:
    """How far automation may go by itself, and what keeps it from going too far.

    quarantine      whether a node found bad is quarantined, only advised about, or only noted
    window_s        within so long automation takes at most `nodes` nodes out of use, or `share` of the fleet if
                    that is more
    ready_share     and never a node without which less than this share of the fleet would be usable
    half_life_s     after how long a sign that a node is bad counts half
    probation_s     how long a job runs on a suspect node without a fault until the node counts as proven
    advice_s        how long advice that nobody follows stands
    """

    quarantine: AutomationStage = AutomationStage.ACT
    window_s: float = 3600.0
    nodes: int = 3
    share: float = 0.05
    ready_share: float = 0.75
    half_life_s: float = 1209600.0
    probation_s: float = 86400.0
    advice_s: float = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckLimits:
    """When nodes are checked by themselves, and how long they may take.

    interval_s  how often a node that runs nothing is checked; 0: never
    instant_s   how long a checkup of instant checks may take until it is unknown what it would have found
    light_s     the same for one of light checks
    retry_s     how often a node that is held for a check is checked anew
    """

    interval_s: float = 3600.0
    instant_s: float = 60.0
    light_s: float = 600.0
    retry_s: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosisLimits:
    """When diagnosis rules look at worlds, and what follows.

    interval_s  how long between two looks
    answer_s    how long one look of a rule may take
    expiry_s    how long a conclusion stands that is not said again
    stages      how far automation goes by a rule's word, by rule: pairs of name and stage; advise for all others
    """

    interval_s: float = 15.0
    answer_s: float = 10.0
    expiry_s: float = 600.0
    stages: tuple[tuple[str, AutomationStage], ...] = ()

    def stage_of(self, rule: str) -> AutomationStage:
        """Give how far automation goes by the word of a rule."""
        return dict(self.stages).get(rule, AutomationStage.ADVISE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an operator may set; `dlroverctl config timeouts` lists them with what happens when each fires.

    unreachable_after_s  silence until a node is called unreachable (DESIGN section 5)
    lost_by_peers_s      silence until it is lost, given two other agents that cannot reach it and none that can
    lost_after_s         silence until it is lost, given a second sign
    unreachable_limit_s  silence until it is lost without one
    lease_margin_s       silence beyond a lease until the ranks of a silent node count as ended by it
    settle_s             how close together nodes of one domain fall silent for one reason, and how long more are
                         waited for before their jobs start anew
    domain_avoid_s       how long then what is left of a domain of which half is silent is not used
    placing_s            how long a scheduler plugin may take to answer before the built-in rule decides
    grow_settle_s        how long room must be seen before a job takes it
    grow_cooldown_s      how long a world runs before its job may grow
    checkpoint_wait_s    how long a planned stop waits for the next checkpoint of a job that tells of them
    preempt_cooldown_s   how long a job that made room, or had room made, is neither asked to nor has it again
    spare_nodes          so many wholly free nodes are kept for jobs that lost one of theirs
    preemption           whether a job may have ones of lower priority stopped for it
    root_jobs            whether jobs that run as root are taken
    quotas               who may use how much at once
    avoid_s              how long a job avoids a node on which its world could not be started
    stop_margin_s        beyond the grace, until a stop that has not been verified is reported as stuck
    review_s             how often a job that runs without a time limit is noted in the log as still running
    evidence_s           how long survivors of a fault may take to say why they fail, before TERM
    audit_interval_s     how long between two audits of a node
    job_retention_s      how long a finished job stays in the state (its events stay in the log); no less than
                         REQUESTS_KNOWN_S
    signals              what follows what kernels and drivers say
    """

    unreachable_after_s: float = 5.0
    lost_by_peers_s: float = 8.0
    lost_after_s: float = 15.0
    unreachable_limit_s: float = 600.0
    lease_margin_s: float = 5.0
    settle_s: float = 5.0
    domain_avoid_s: float = 60.0
    placing_s: float = 2.0
    grow_settle_s: float = 30.0
    grow_cooldown_s: float = 300.0
    checkpoint_wait_s: float = 600.0
    avoid_s: float = 600.0
    stop_margin_s: float = 30.0
    review_s: float = 86400.0
    evidence_s: float = 0.5
    audit_interval_s: float = 300.0
    job_retention_s: float = 604800.0
    preempt_cooldown_s: float = 600.0
    max_jobs: int = 10000
    spare_nodes: int = 0
    preemption: bool = True
    root_jobs: bool = True
    quotas: tuple[Quota, ...] = ()
    automation: AutomationLimits = field(default_factory=AutomationLimits)
    checks: CheckLimits = field(default_factory=CheckLimits)
    diagnosis: DiagnosisLimits = field(default_factory=DiagnosisLimits)
    signals: SignalTable = field(default_factory=SignalTable)
    hangs: HangLimits = field(default_factory=HangLimits)
