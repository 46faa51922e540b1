import os
import pwd

import pytest

from dlroverd.config.roles import RolesConfig
from dlroverd.model.roles import Role
from dlroverd.protocol.errors import CallError, Reason
from dlroverd.trust.identity import Identities

NOBODY = pwd.getpwnam("nobody")


def identities(life_s: float = 60.0, **roles: list[str]) -> Identities:
    return Identities(RolesConfig(**roles).of, life_s)


def test_a_token_says_who_got_it() -> None:
    known = identities(operator=["nobody"])
    caller = known.caller(NOBODY.pw_uid, NOBODY.pw_gid)
    assert (caller.name, caller.role) == ("nobody", Role.OPERATOR)
    assert NOBODY.pw_gid in caller.gids
    assert known.read(known.give(caller)) == caller


def test_root_and_the_daemon_s_own_user_administer() -> None:
    assert identities().caller(0, 0).role is Role.ADMIN
    assert identities().caller(os.geteuid(), os.getegid()).role is Role.ADMIN


def test_a_token_that_says_what_its_holder_was_is_good_no_more_once_roles_were_read_again() -> None:
    known = identities(operator=["nobody"])
    old = known.give(known.caller(NOBODY.pw_uid, NOBODY.pw_gid))
    known.judge_by(RolesConfig(others="viewer").of)
    with pytest.raises(CallError, match="call again"):
        known.read(old)
    assert known.caller(NOBODY.pw_uid, NOBODY.pw_gid).role is Role.VIEWER


def test_a_user_without_a_name_is_its_number() -> None:
    assert identities().caller(987654, 987654).name == "987654"


def test_a_token_that_was_changed_or_is_another_daemon_s_says_nobody() -> None:
    known = identities()
    token = known.give(known.caller(NOBODY.pw_uid, NOBODY.pw_gid))
    forged = known.give(identities().caller(0, 0)).partition(".")[0] + "." + token.partition(".")[2]
    for wrong in (forged, identities().give(known.caller(0, 0)), token[:-1], "", ".", "ä.ö"):
        with pytest.raises(CallError, match="does not know the caller's identity token") as refused:
            known.read(wrong)
        assert refused.value.reason is Reason.UNAVAILABLE


def test_a_token_ages() -> None:
    known = identities(life_s=-1.0)
    with pytest.raises(CallError, match="older than -1 s; call again"):
        known.read(known.give(known.caller(0, 0)))


@pytest.mark.parametrize(
    ("name", "groups", "role"),
    [
        ("ann", {"ops"}, Role.OPERATOR),
        ("bob", {"ml"}, Role.VIEWER),
        ("bob", {"ml", "ops"}, Role.OPERATOR),
        ("eve", set(), Role.ADMIN),
        ("zoe", {"ml"}, Role.NOBODY),
    ],
)
def test_of_several_roles_the_highest_counts(name: str, groups: set[str], role: Role) -> None:
    roles = RolesConfig(viewer=["bob"], operator=["%ops"], admin=["eve"], others="nobody")
    assert roles.of(name, frozenset(groups)) is role
