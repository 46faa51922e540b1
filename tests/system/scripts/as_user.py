"""Calls a daemon as another user: `as_user.py UID GID ADDRESS CALL...`; one line of JSON for each call, in order.

Everything is imported before this process becomes that user, who may be barred from our files.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from dlroverd.client import Client
from dlroverd.model.hold import HoldKind
from dlroverd.model.job import JobSpec, RoleSpec, User
from dlroverd.protocol.errors import CallError


def spec(uid: int, gid: int) -> JobSpec:
    role = RoleSpec(argv=("/bin/sleep", "1000"), cwd="/", env={"TOLD": "what ann alone knows"})
    return JobSpec(name="job", user=User(uid=uid, gid=gid, name=str(uid)), roles=(role,))


def calls(client: Client, uid: int, gid: int) -> Mapping[str, Callable[[int], Any]]:
    return {
        "submit": lambda _: client.submit(spec(uid, gid)),
        "submit-as-root": lambda _: client.submit(spec(0, 0)),
        "jobs": lambda _: [view.id for view in client.jobs()],
        "spec": lambda job: client.job(job, with_spec=True).id,
        "logs": lambda job: list(client.logs(job)),
        "events": lambda _: "".join(event.body for event in client.events(names=["job_submitted"])),
        "cancel": client.cancel,
        "hold": lambda _: client.hold(["n1"], HoldKind.CORDON, reason="test"),
        "watch": lambda job: next(client.watch(job)).id,
        "follow": lambda job: [view.state for view in client.watch(job)][-1],
    }


def main(uid: int, gid: int, address: str, *words: str) -> None:
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    with Client(address, timeout_s=20.0) as client:
        known = calls(client, uid, gid)
        for word in words:
            name, _, job = word.partition(":")
            try:
                answer = {"answer": known[name](int(job or 0))}
            except CallError as error:
                answer = {"reason": error.reason.value, "sentence": error.sentence}
            sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
