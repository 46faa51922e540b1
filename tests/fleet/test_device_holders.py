"""Whose a process on a device is, on a host with systemd: told by control groups that systemd made."""

import json
import sys

from tests.fleet.harness import Fleet
from tests.system.fleet import until

LOOK = """
import json, sys
from dlroverd.plugin_api import DeviceProcess, DeviceReading
from dlroverd_agent.devices.holders import holders
processes = tuple(DeviceProcess(pid=int(pid)) for pid in sys.argv[1:])
found = holders([DeviceReading(uuid="GPU-1", model="", memory_bytes=0, processes=processes)])
print(json.dumps({each.pid: [str(each.key), each.who] for each in found}))
"""
RANK = "dlroverd-main-j7-my-role-0-r2-rank3.service"


def service(fleet: Fleet, node: str, unit: str, slice_: str, command: str) -> int:
    """Start a command in a shell as a service; gives its main pid."""
    fleet.exec(node, "systemd-run", "--quiet", f"--unit={unit}", f"--slice={slice_}", "sh", "-c", command)
    return fleet.main_pid(node, unit)


def sleepers(fleet: Fleet, node: str) -> set[int]:
    return {each.pid for each in fleet.processes(node) if each.argv[:1] == ("sleep",)}


def test_a_process_is_a_ranks_by_its_control_group_alone(fleet: Fleet) -> None:
    node = fleet.nodes[0]
    # It has no environment, and is no child of the service any more.
    escaped = "(setsid env -i sleep 1000 >/dev/null 2>&1 &); exec sleep 1000"
    rank = service(fleet, node, RANK, "dlroverd-main-j7.slice", escaped)
    stranger = service(fleet, node, "acme-j7-trainer-0-r2-rank3.service", "acme.slice", "exec sleep 1000")
    try:
        (child,) = until(lambda: sleepers(fleet, node) - {rank, stranger}, lambda pids: len(pids) == 1)
        pids = [str(pid) for pid in (rank, child, stranger)]
        seen = json.loads(fleet.exec(node, sys.executable, "-c", LOOK, *pids))
        assert [seen[pid][0] for pid in pids] == ["7/my-role/0@2#3", "7/my-role/0@2#3", "None"]
        assert seen[pids[2]][1].startswith(f"pid {stranger} of root (sleep) since ")
    finally:
        fleet.exec(node, "systemctl", "stop", RANK, "acme-j7-trainer-0-r2-rank3.service")
