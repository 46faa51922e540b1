"""What a job may ask of a node's labels and devices, one constraint a text.

`gpu=h100`, `gpu!=h100`: the label has, or has not, that value (a node without the label has not). `ssd`, `!ssd`: the
node has, or has not, a label of that name. `device=*H100*`, `device!=...`: its accelerators' model is like the
pattern, in which * stands for anything and case does not count.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from dlroverd.model.placement import NodeTraits

# The word that asks for the devices' model, and so is no name of a label.
DEVICE = "device"
LABEL_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?"
_FORM = re.compile(rf"(?:(!?)({LABEL_NAME})|({LABEL_NAME})(!?=)(.+))", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Constraint:
    """One constraint, taken apart: `value` is None where only the label's being there counts."""

    name: str
    value: str | None
    holds: bool

    def unmet(self, traits: NodeTraits) -> str:
        """Say what a node has in place of what is asked for; "" if it has that."""
        found = traits.model if self.name == DEVICE else dict(traits.labels).get(self.name)
        if self.value is None:
            met = found is not None
        elif self.name == DEVICE:
            met = fnmatchcase(traits.model.lower(), self.value.lower())
        else:
            met = found == self.value
        if met is self.holds:
            return ""
        if self.name == DEVICE:
            return f"its device is {found}" if found else "it has no device"
        return f"label {self.name}{f'={found}' if found else ''}" if found is not None else f"no label {self.name}"


def parse(text: str) -> Constraint:
    """Take a constraint apart; ValueError with a sentence if it is none."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no constraint; write gpu=h100, gpu!=h100, ssd, !ssd or device=*H100*")
    negation, feature, name, sign, value = match.groups()
    if feature == DEVICE:
        raise ValueError(f"{text!r} names no model; write device=*H100*, or device=?* for any")
    if feature:
        return Constraint(feature, None, not negation)
    return Constraint(name, value, sign == "=")


def mistake(require: Iterable[str]) -> str:
    """Say what is wrong with the first text that is no constraint; "" if all are."""
    for text in require:
        try:
            parse(text)
        except ValueError as error:
            return str(error)
    return ""


def unmet(require: Iterable[str], traits: NodeTraits) -> tuple[str, str]:
    """Give the first constraint that a node does not meet, and what it has instead; two "" if it meets all."""
    for text in require:
        if found := parse(text).unmet(traits):
            return text, found
    return "", ""
