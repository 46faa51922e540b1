"""When diagnosis rules look, and how far their word goes: the `diagnosis` section of the daemon's configuration."""

from dlroverd.config.schema import Duration, Section, limit, setting
from dlroverd.model.limits import DiagnosisLimits
from dlroverd.model.reputation import AutomationStage

_DIAGNOSIS = DiagnosisLimits()


class DiagnosisConfig(Section):
    """What the rules are given and allowed, `model.DiagnosisLimits` without the unit in the name."""

    interval: Duration = limit(
        _DIAGNOSIS.interval_s,
        "how long between two looks of the diagnosis rules at the worlds that run",
        fires="every rule looks at every world",
        example="15s",
        gt=0,
    )
    answer: Duration = limit(
        _DIAGNOSIS.answer_s,
        "how long a rule may take for one world",
        fires="its plugin is killed and started anew; what it said before stands until it is too old",
        example="10s",
        gt=0,
    )
    expiry: Duration = limit(
        _DIAGNOSIS.expiry_s,
        "how long what a rule concluded stands without being said again",
        fires="it has ended",
        example="10m",
        gt=0,
    )
    stages: dict[str, AutomationStage] = setting(
        {},
        "how far automation goes by the word of a rule, by plugin: note what it concludes (observe), advise what to do "
        "(advise, as without an entry), or do it (act)",
        example="{straggler: act}",
    )

    def to_model(self) -> DiagnosisLimits:
        """Give the limits as the core takes them."""
        return DiagnosisLimits(
            interval_s=self.interval,
            answer_s=self.answer,
            expiry_s=self.expiry,
            stages=tuple(sorted(self.stages.items())),
        )
