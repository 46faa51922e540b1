"""When nodes are checked by themselves: the `checks` section of the daemon's configuration."""

from dlroverd.config.schema import Duration, Section, limit
from dlroverd.model.limits import CheckLimits

_CHECKS = CheckLimits()


class ChecksConfig(Section):
    """When node checks are made, `model.CheckLimits` without the unit in the name."""

    interval: Duration = limit(
        _CHECKS.interval_s,
        "how often a node that runs nothing is checked; 0 is never",
        fires="its instant checks are made; see docs/checks.md",
        example="1h",
    )
    instant: Duration = limit(
        _CHECKS.instant_s,
        "how long a node may take for instant checks",
        fires="what they would have found is unknown, which is held against nobody",
        example="60s",
        gt=0,
    )
    light: Duration = limit(
        _CHECKS.light_s,
        "how long a node may take for light checks",
        fires="what they would have found is unknown, which is held against nobody",
        example="10m",
        gt=0,
    )
    retry: Duration = limit(
        _CHECKS.retry_s,
        "how long until a node that did not pass is checked again",
        fires="it is checked; if it passes, it is used again",
        example="10m",
        gt=0,
    )

    def to_model(self) -> CheckLimits:
        """Give the limits as the core takes them."""
        return CheckLimits(**{f"{key}_s": value for key, value in self})
