"""Whether a job's user is the same person on this host as where the job was submitted. Standard library alone.

Sentences say "there", because they are read away from this host.
"""

import grp
import os
import pwd
from collections.abc import Iterable

# Below are the groups of each host's own system (docker, audio), which no two hosts need to have alike.
_FIRST_GROUP_OF_USERS = 1000


def difference(uid: int, gid: int, name: str, home: str = "", groups: Iterable[int] = ()) -> str:
    """Say what differs, with the remedy; "" if nothing does.

    A user without a name (its number, or "") had none where the job was submitted, and is not compared; neither is a
    `home` that is not known. Groups that the user has here besides are this host's to give.
    """
    if name in ("", str(uid)):
        return ""
    try:
        known = pwd.getpwnam(name)
    except KeyError:
        return _stranger(uid, gid, name)
    if known.pw_uid != uid:
        return (
            f"user {name} has uid {known.pw_uid} there, and {uid} where the job was submitted: "
            "give each user the same uid on all nodes"
        )
    own = os.getgrouplist(name, known.pw_gid)
    for group in (gid, *groups):
        if group not in own and (group == gid or group >= _FIRST_GROUP_OF_USERS):
            return (
                f"user {name} is not in group {_group(group)} there, as where the job was submitted: "
                "give each user the same groups on all nodes"
            )
    if home and os.path.normpath(home) != os.path.normpath(known.pw_dir):
        return (
            f"user {name} has the home {known.pw_dir} there, and {home} where the job was submitted: "
            "give each user the same home on all nodes"
        )
    return ""


def _stranger(uid: int, gid: int, name: str) -> str:
    try:
        other = pwd.getpwuid(uid).pw_name
    except KeyError:
        return (
            f"user {name} (uid {uid}) is unknown there: create it with uid {uid} and gid {gid}, or leave that node out"
        )
    return (
        f"uid {uid} is user {other} there, and user {name} where the job was submitted: "
        "give each user the same uid on all nodes"
    )


def _group(gid: int) -> str:
    try:
        return f"{grp.getgrgid(gid).gr_name} (gid {gid})"
    except KeyError:
        return str(gid)
