"""Tokens that say who calls, good for a short time with one daemon: signed, and kept nowhere."""

import base64
import binascii
import grp
import hashlib
import hmac
import json
import os
import pwd
import secrets
import time
from collections.abc import Callable

from dlroverd.model.roles import Caller, Role
from dlroverd.protocol.errors import CallError, Reason

ADMIN_GROUP = "dlroverd"

RoleOf = Callable[[str, frozenset[str]], Role]


class Identities:
    """Gives out tokens, and reads them. `role_of` says what a user with these groups is."""

    def __init__(self, role_of: RoleOf, life_s: float) -> None:
        """Begin with a key that no other daemon has, nor this one after a restart."""
        self._role_of = role_of
        self._life_s = life_s
        self._key = secrets.token_bytes(32)

    def judge_by(self, role_of: RoleOf) -> None:
        """Have others be what they are from now on; no token that says what its holder was is good any more."""
        self._role_of = role_of
        self._key = secrets.token_bytes(32)

    def caller(self, uid: int, gid: int) -> Caller:
        """Look up whose process has these ids. May block: users may be in a directory on the network."""
        try:
            known = pwd.getpwuid(uid)
            name, gids = known.pw_name, frozenset(os.getgrouplist(known.pw_name, known.pw_gid)) | {gid}
        except KeyError:
            name, gids = str(uid), frozenset({gid})
        groups = frozenset(filter(None, map(_group, gids)))
        above = uid in (0, os.geteuid()) or ADMIN_GROUP in groups
        role = Role.ADMIN if above else self._role_of(name, groups)
        return Caller(uid=uid, name=name, role=role, gids=gids)

    def of(self, name: str, gids: frozenset[int]) -> Role:
        """Tell what a user that another host vouches for is, by name and by this host's names of its groups."""
        return self._role_of(name, frozenset(filter(None, map(_group, gids))))

    def give(self, caller: Caller) -> str:
        """Give a token that says who `caller` is."""
        content = {
            "uid": caller.uid,
            "name": caller.name,
            "role": caller.role.value,
            "gids": sorted(caller.gids),
            "until": time.monotonic() + self._life_s,
        }
        body = base64.urlsafe_b64encode(json.dumps(content).encode()).decode()
        return f"{body}.{self._signature(body)}"

    def read(self, token: str) -> Caller:
        """Tell who shows a token.

        Raises:
            CallError: another daemon gave it, nobody did, or its time is over.
        """
        body, _, signature = token.partition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(body).encode()):
            # Of the daemon before this one, most of all: who asks again gets one of this.
            raise CallError(Reason.UNAVAILABLE, "This daemon does not know the caller's identity token; call again.")
        try:
            content = json.loads(base64.urlsafe_b64decode(body))
        except (ValueError, binascii.Error) as error:
            raise CallError(Reason.INVALID, "The caller's identity token cannot be read; call again.") from error
        if time.monotonic() > content["until"]:
            raise CallError(
                Reason.UNAVAILABLE, f"The caller's identity token is older than {self._life_s:g} s; call again."
            )
        return Caller(
            uid=content["uid"],
            name=content["name"],
            role=Role(content["role"]),
            gids=frozenset(content["gids"]),
        )

    def _signature(self, body: str) -> str:
        return hmac.new(self._key, body.encode(), hashlib.sha256).hexdigest()


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return ""
