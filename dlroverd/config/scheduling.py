"""Who is placed when: quotas, preemption, and nodes that are kept back."""

from typing import Annotated

from pydantic import AfterValidator, Field

from dlroverd.config.durations import shown
from dlroverd.config.schema import MAX_COUNT, Duration, Section, limit, setting
from dlroverd.model.limits import Limits
from dlroverd.model.quota import ANYONE, Quota

_LIMITS = Limits()


def _whose(value: str) -> str:
    if not value or value != value.strip() or (ANYONE in value and value != ANYONE):
        raise ValueError(f"must be a name, or '{ANYONE}' for each one without a quota of its own, not {shown(value)}")
    return value


Whose = Annotated[str, AfterValidator(_whose)]
Bound = Annotated[int, Field(ge=0, le=MAX_COUNT)]


class QuotaConfig(Section):
    """What one user or project may use at once; a key that is absent limits nothing, and 0 allows nothing."""

    devices: Bound | None = setting(None, "devices, or slots on hosts that have none", example="64")
    jobs: Bound | None = setting(None, "jobs that hold nodes; others wait", example="10")


class QuotasConfig(Section):
    """By name; '*' is each one without a quota of its own."""

    users: dict[Whose, QuotaConfig] = setting({}, "by user", example="{'*': {devices: 64}, ann: {devices: 128}}")
    projects: dict[Whose, QuotaConfig] = setting({}, "by project", example="{vision: {devices: 256, jobs: 20}}")


class SchedulingConfig(Section):
    """Who is placed when."""

    quotas: QuotasConfig = setting(QuotasConfig(), "who may use how much at once", example="{users: {}}")
    preemption: bool = setting(
        _LIMITS.preemption, "whether a job may have running ones of lower priority make room for it", example="true"
    )
    preempt_cooldown: Duration = limit(
        _LIMITS.preempt_cooldown_s,
        "how long a job that made room is left alone, and one that had room made has none made again",
        fires="it may be asked again to make room, or have room made again",
        example="10m",
    )
    spare_nodes: Bound = setting(
        _LIMITS.spare_nodes, "so many wholly free nodes are kept for jobs that lost one of theirs", example="2"
    )

    def quotas_model(self) -> tuple[Quota, ...]:
        """Give the quotas as the core takes them."""
        kinds = (("user", self.quotas.users), ("project", self.quotas.projects))
        return tuple(
            Quota(kind=kind, name=name, devices=quota.devices, jobs=quota.jobs)
            for kind, quotas in kinds
            for name, quota in quotas.items()
        )
