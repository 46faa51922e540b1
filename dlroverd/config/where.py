"""Where a role's ranks go: the keys of a job file that choose among nodes."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from dlroverd.config.durations import shown
from dlroverd.config.hostlist import expand
from dlroverd.config.schema import Name, Section, Text, setting
from dlroverd.model import constraints


def _words(value: object) -> object:
    """Take a list, or one text with commas (or Slurm's & between constraints) as a flag gives it."""
    return [word.strip() for word in re.split("[,&]", value)] if isinstance(value, str) else value


def _not_empty(values: list[str]) -> list[str]:
    if "" in values:
        raise ValueError("has an empty word; drop the comma too many")
    doubled = next((value for value in values if values.count(value) > 1), None)
    if doubled is not None:
        raise ValueError(f"names {shown(doubled)} twice; drop one")
    return values


def _constraint(value: str) -> str:
    constraints.parse(value)
    return value


def _nodes(value: object) -> list[str]:
    return [name for each in (value if isinstance(value, list) else [value]) for name in expand(str(each))]


def _kind_of_domain(value: str) -> str:
    if value and not re.fullmatch(constraints.LABEL_NAME, value):
        raise ValueError(f"must be a kind of domain of the topology file, such as rack or switch, not {shown(value)}")
    return value


_LIST = (AfterValidator(_not_empty), WithJsonSchema({"type": ["array", "string"], "items": {"type": "string"}}))
Constraints = Annotated[list[Annotated[Text, AfterValidator(_constraint)]], BeforeValidator(_words), *_LIST]
Nodes = Annotated[list[str], BeforeValidator(_nodes), *_LIST]
Roles = Annotated[list[Name], BeforeValidator(_words), *_LIST]


class WhereFile(Section):
    """What a role asks of its nodes."""

    require: Constraints = setting(
        [],
        "what its nodes' labels and devices must be (docs/placement.md)",
        example="[gpu=h100, '!shared', device=*H100*]",
    )
    nodelist: Nodes = setting([], "the only nodes it may have; else any", example="n[1-16]")
    exclude: Nodes = setting([], "nodes it must not have", example="[n7]")
    spread: Annotated[Text, AfterValidator(_kind_of_domain)] = setting(
        "", "take its nodes evenly over domains of this kind, rather than close together", example="rack"
    )
    apart_from: Roles = setting(
        [], "roles that it must share no node with; its own name: no two of its gangs do", example="[ps]"
    )
    together_with: Roles = setting([], "roles whose nodes it must have", example="[trainer]")


def disagreement(role: str, where: WhereFile, names: list[str]) -> tuple[str, str]:
    """Find what a role's wishes have against each other, or the job's roles: key and sentence; else two ""."""
    for key, others in (("apart_from", where.apart_from), ("together_with", where.together_with)):
        for other in others:
            if other not in names:
                return key, f"names '{other}', which is no role of the job; use {', '.join(names)}"
            if other == role and key == "together_with":
                return key, f"names '{other}', which is the role itself; name another one"
    if both := set(where.apart_from) & set(where.together_with):
        return "apart_from", f"and together_with both name '{min(both)}'; drop one"
    if both := set(where.nodelist) & set(where.exclude):
        return "exclude", f"and nodelist both name '{min(both)}'; drop one"
    return "", ""
