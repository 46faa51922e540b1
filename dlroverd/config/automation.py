"""How far automation may go by itself, and its limits: the `automation` section of the daemon's configuration."""

from pydantic import Field

from dlroverd.config.schema import Count, Duration, Section, limit, setting
from dlroverd.model.limits import AutomationLimits
from dlroverd.model.reputation import AutomationStage

_AUTOMATION = AutomationLimits()


class AutomationConfig(Section):
    """What automation may do to nodes by itself, `model.AutomationLimits` without the unit in the name."""

    quarantine: AutomationStage = setting(
        _AUTOMATION.quarantine,
        "what follows when a node is found bad: it is quarantined (act), that is advised (advise) or noted (observe)",
        example="act",
    )
    window: Duration = limit(
        _AUTOMATION.window_s,
        "the time within which automation takes at most `nodes` nodes out of use, or `share` of all if that is more",
        fires="the node stays in use; `automation status` and `node why` say so; it is tried again",
        example="1h",
        gt=0,
    )
    nodes: Count = Field(
        _AUTOMATION.nodes,
        ge=0,
        description="how many nodes automation may take out of use within the window",
        examples=["3"],
    )
    share: float = Field(
        _AUTOMATION.share,
        ge=0,
        le=1,
        description="what share of all nodes automation may take out of use within the window, if that is more",
        examples=["0.05"],
    )
    ready_share: float = Field(
        _AUTOMATION.ready_share,
        ge=0,
        le=1,
        description="automation takes no node without which less than this share of all nodes would be usable",
        examples=["0.75"],
    )
    half_life: Duration = limit(
        _AUTOMATION.half_life_s,
        "how long until a sign that a node is bad counts half",
        fires="nothing at once: what speaks against a node fades",
        example="14d",
        gt=0,
    )
    probation: Duration = limit(
        _AUTOMATION.probation_s,
        "how long a job runs without a fault on a node that was quarantined until it counts as proven",
        fires="the node is placed on as any other",
        example="24h",
        gt=0,
    )
    advice: Duration = limit(
        _AUTOMATION.advice_s,
        "how long advice that nobody follows stands",
        fires="the advice is dropped",
        example="24h",
        gt=0,
    )

    def to_model(self) -> AutomationLimits:
        """Give the limits as the core takes them."""
        plain = ("quarantine", "nodes", "share", "ready_share")
        return AutomationLimits(**{key if key in plain else f"{key}_s": value for key, value in self})
