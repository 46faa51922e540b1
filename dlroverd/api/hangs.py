"""How the steps of a job's gangs are watched, as clients are shown it."""

from dataclasses import replace

from dlroverd.model.ids import GangKey
from dlroverd.model.view import JobView, RoleView
from dlroverd.runtime.hangs import HangWatch


def with_hangs(view: JobView, hangs: HangWatch) -> JobView:
    """Give a job with how each of its gangs is watched."""
    return replace(view, roles=tuple(_role(view.id, role, hangs) for role in view.roles))


def _role(job: int, role: RoleView, hangs: HangWatch) -> RoleView:
    gangs = tuple(replace(gang, hang=hangs.view(GangKey(job, role.name, gang.gang))) for gang in role.gangs)
    return replace(role, gangs=gangs)
