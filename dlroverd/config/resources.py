"""What the ranks of a role may take of a node, as a job file says it."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from dlroverd.config.durations import shown
from dlroverd.config.schema import Count, Section, Size, Text, setting
from dlroverd.model.job import Resources

_RESOURCES = Resources()


def _numbers(value: str) -> str:
    ranges = [re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", part) for part in value.split(",")] if value else []
    if not all(each and int(each[1]) <= int(each[2] or each[1]) for each in ranges):
        raise ValueError(f"must be numbers and ranges such as 0-7,16, not {shown(value)}")
    return value


Numbers = Annotated[Text, AfterValidator(_numbers)]


class ResourcesFile(Section):
    """What the ranks of one role may take of a node, together; the systemd launcher carries it out."""

    memory: Size = setting(
        _RESOURCES.memory_bytes,
        "memory, without swap, of all ranks of a node together; 0 is no limit",
        example="500GiB",
    )
    tasks: Count = Field(
        _RESOURCES.tasks_max,
        ge=0,
        description="processes and threads of all ranks of a node together; 0 is no limit",
        examples=["20000"],
    )
    cpus: Numbers = setting(_RESOURCES.cpus, "CPUs that the ranks may run on; else all", example="0-31,64-95")
    numa_nodes: Numbers = setting(
        _RESOURCES.numa_nodes, "NUMA nodes that memory is taken from; else any", example="0-1"
    )
    # Not below 0: that takes a privilege which the users of a job do not have.
    oom_score_adjust: int = Field(
        _RESOURCES.oom_score_adjust,
        ge=0,
        le=1000,
        description="how much sooner than others the kernel ends a rank when memory runs out",
        examples=["500"],
    )
