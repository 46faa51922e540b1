"""The light checks: they work the host for seconds, with the torch that jobs use, alone and with other nodes."""

import json
import os
import subprocess
from collections.abc import Callable
from typing import Any

import dlroverd_train

from dlroverd.plugin_api import CheckContext, CheckLevel, CheckVerdict, Figure, NodeCheck, hookimpl
from dlroverd_agent.checkups.builtin.look import Look, bad, ok, unknown

DLROVERD_API = 1

_COMPUTE_S, _MEET_S = 180.0, 120.0
# How long the nodes of a group wait for each other.
_WAIT_S = 40.0


def compute(context: CheckContext) -> CheckVerdict:
    """Multiply matrices on every device, or on the CPU, and see that the products are right."""
    said = _bench(context, "compute")
    if said.get("wrong"):
        return bad(str(said["problem"]))
    if "problem" in said:
        return unknown(str(said["problem"]))
    speed = float(said["flops"])
    return ok(
        f"{said['name']} multiplies {said['size']}² matrices at {speed / 1e12:.3g} TFLOP/s",
        Figure(name="compute_flops_per_second", value=speed, worse="less"),
    )


def meet(context: CheckContext) -> CheckVerdict:
    """Multiply and all-reduce with the other nodes of a group; that it fails is told as bad, and judged elsewhere."""
    at = context.meeting
    if at is None:
        return unknown("it is to meet nobody")
    said = _bench(context, "meet", at.address, str(at.port), str(at.rank), str(at.size), str(_WAIT_S))
    others = ", ".join(node for node in at.nodes if node != context.node)
    if said.get("absent"):
        return unknown(str(said["problem"]))
    if "problem" in said:
        return bad(f"it does not work with {others}: {said['problem']}")
    seconds = float(said["seconds"])
    return ok(f"it works with {others}, in {seconds:.2f} s", Figure(name="met_seconds", value=seconds))


def _bench(context: CheckContext, *words: str) -> dict[str, Any]:
    """Run the benchmark as whose job it is for: the interpreter of a job is a user's, who is not to be root."""
    program = os.path.join(os.path.dirname(dlroverd_train.__file__), "bench.py")
    job = context.job
    who: dict[str, Any] = {}
    environ = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "OMP_NUM_THREADS": str(os.cpu_count() or 1)}
    python = context.python
    if job is not None and os.path.basename(job.argv[0]).startswith(("python", "pypy")):
        python, environ = job.argv[0], {**environ, **job.env}
        if os.geteuid() == 0:
            who = {"user": job.uid, "group": job.gid, "extra_groups": []}
    with open(program, "rb") as source:  # read here: the user may be barred from our files
        done = subprocess.run(
            [python, "-", *words],
            stdin=source,
            capture_output=True,
            text=True,
            check=False,
            env=environ,
            cwd="/",
            **who,
        )
    last = done.stdout.strip().rpartition("\n")[2]
    try:
        said = json.loads(last)
    except ValueError:
        told = done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}"
        return {"problem": f"the benchmark ended without a word ({told})"[:300]}
    return said if isinstance(said, dict) else {"problem": "the benchmark said what is no result"}


CHECKS = (
    Look("compute", compute, CheckLevel.LIGHT, _COMPUTE_S),
    Look("meet", meet, CheckLevel.LIGHT, _MEET_S, meets=True),
)


@hookimpl
def dlroverd_register_node_check(register: Callable[[NodeCheck], None]) -> None:
    """Hand over each of them."""
    for check in CHECKS:
        register(check)
