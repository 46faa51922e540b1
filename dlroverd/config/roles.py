"""Who may do what: the roles of people, by name or by group."""

from typing import Annotated, Literal

from pydantic import AfterValidator

from dlroverd.config.durations import shown
from dlroverd.config.schema import Section, Text, setting
from dlroverd.model.roles import Role


def _who(value: str) -> str:
    if not value.removeprefix("%") or any(letter.isspace() for letter in value):
        raise ValueError(f"must be a user's name, or % and a group's, such as ann or %ops, not {shown(value)}")
    return value


Who = Annotated[Text, AfterValidator(_who)]


class RolesConfig(Section):
    """Whom each role is given to. Of several that fit, the highest counts."""

    viewer: list[Who] = setting([], "who may look, and nothing else", example="[bob, '%guests']")
    user: list[Who] = setting([], "who may submit jobs, and act on jobs of their own", example="['%ml']")
    operator: list[Who] = setting([], "who may act on all jobs and nodes", example="[ann, '%ops']")
    admin: list[Who] = setting(
        [],
        "who may do everything, beside root, the daemon's own user and the group dlroverd",
        example="[root]",
    )
    others: Literal["user", "viewer", "nobody"] = setting(
        "user", "what anyone is who is named nowhere here", example="viewer"
    )

    def of(self, name: str, groups: frozenset[str]) -> Role:
        """Give the role of a user with these groups."""
        known = {name, *(f"%{group}" for group in groups)}
        named = {
            Role.VIEWER: self.viewer,
            Role.USER: self.user,
            Role.OPERATOR: self.operator,
            Role.ADMIN: self.admin,
        }
        return max((role for role, whose in named.items() if known & set(whose)), default=Role[self.others.upper()])
