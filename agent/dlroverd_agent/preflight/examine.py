"""Runs the probe: a child with a deadline, because a file system of the job's may hang."""

import asyncio
import json
import os
import signal
import sys

from pydantic import TypeAdapter

from dlroverd.model.job import JobSpec, RoleSpec
from dlroverd_agent.preflight import probe
from dlroverd_agent.preflight.code import Code

DEADLINE_S = 20.0
KILL_S = 1.0
_PROBE = (sys.executable, "-I", "-S", os.path.abspath(probe.__file__))
_CODE = TypeAdapter(Code)


class UnfitError(Exception):
    """Ranks of this role cannot run here; the message is one sentence with the remedy."""


async def examine(spec: JobSpec, role: RoleSpec, state_dir: str, deadline_s: float = DEADLINE_S) -> Code:
    """See that ranks of a role could run here, and which code they would run. UnfitError if they could not."""
    order = {
        "uid": spec.user.uid,
        "gid": spec.user.gid,
        "name": spec.user.name,
        "home": spec.user.home,
        "groups": spec.user.groups,
        "argv": role.argv,
        "cwd": role.cwd,
        "env": role.env,
        "state_dir": state_dir,
        "secrets": [(each.name, each.file, each.credential) for each in role.secrets],
    }
    child = await asyncio.create_subprocess_exec(
        *_PROBE,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(deadline_s):
            said, complaint = await child.communicate(json.dumps(order).encode())
    except TimeoutError:
        raise UnfitError(
            f"the checks before a start did not end within {deadline_s:g} s there: see whether the file systems of "
            f"{role.cwd} and {role.argv[0]} hang"
        ) from None
    finally:
        await _end(child)
    if child.returncode != 0:
        last_line = complaint.decode(errors="replace").strip().rpartition("\n")[2]
        raise UnfitError(f"the checks before a start failed there ({last_line}): see that the agent's host is well")
    answer = json.loads(said)
    if problem := answer.get("problem"):
        raise UnfitError(problem)
    return _CODE.validate_python(answer["code"])


async def _end(child: asyncio.subprocess.Process) -> None:
    """Kill what the probe left: itself if it hangs, and the job's interpreter that it ran."""
    if child.returncode is not None:
        return
    os.killpg(child.pid, signal.SIGKILL)
    try:
        async with asyncio.timeout(KILL_S):
            await child.communicate()
    except TimeoutError:
        pass  # a process that is stuck within a file system does not even die of KILL
