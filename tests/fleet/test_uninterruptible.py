"""A rank in uninterruptible sleep, under systemd: it writes to a file system that is frozen, and KILL does not end it.

What a hung NFS server, a path of a disk array that is gone or a driver does to a rank, fsfreeze does on purpose.
"""

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.fleet.bed import Process
from tests.fleet.conftest import Boot
from tests.fleet.harness import SCRIPTS, Fleet
from tests.system.fleet import gang, until

MOUNT = "/run/disk"


def attach(fleet: Fleet, node: str) -> None:
    """Give a host a disk of its own at MOUNT: an image, by a loop device of this machine."""
    image = fleet.shared / f"{node}.img"
    with image.open("wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    found = subprocess.run(["losetup", "-f", "--show", image], check=True, capture_output=True, text=True)
    device = found.stdout.strip()
    number = os.minor(os.stat(device).st_rdev)
    try:
        fleet.exec(node, "sh", "-ec", f"mknod {device} b 7 {number}; mkdir {MOUNT}; mount {device} {MOUNT}")
    finally:
        subprocess.run(["losetup", "-d", device], check=True)  # once it is not mounted any more


@pytest.fixture(scope="module")
def hosts(boot: Boot) -> Iterator[Fleet]:
    """Two nodes of one slot each, each with a disk of its own."""
    fleet = boot(2, agent={"slots": 1})
    for node in fleet.nodes:
        attach(fleet, node)
    yield fleet
    for node in fleet.nodes:  # else the kernel keeps what is frozen, for ever
        fleet.exec(node, "fsfreeze", "-u", MOUNT, code=None)
        fleet.exec(node, "umount", MOUNT)


def state_of(fleet: Fleet, node: str, process: Process) -> str:
    """Give the state of a process, as ps does; "" if there is none any more."""
    stat = fleet.root(node) / "proc" / str(process.pid) / "stat"
    return stat.read_text().rpartition(")")[2].split()[0] if stat.exists() else ""


def test_its_stop_is_bounded_its_node_marked_and_its_job_goes_on_elsewhere(fleet: Fleet) -> None:
    words = ("--nnodes", "1", "--nproc-per-node", "1", "--env", f"WRITES={MOUNT}/writes")
    job = fleet.submit(*words, str(SCRIPTS / "plain.py"), "1000000")
    fleet.until_stepping(job)
    (((node, _), rank),) = fleet.ranks(job).items()
    fleet.exec(node, "fsfreeze", "-f", MOUNT)
    until(lambda: state_of(fleet, node, rank), lambda state: state == "D")

    fleet.client.restart(job)
    again = fleet.until_stepping(job, round_=2)
    assert gang(again).ranks[0].node != node
    assert state_of(fleet, node, rank) == "D"
    (marked,) = [view for view in fleet.client.nodes() if view.id == node]
    assert (marked.state, marked.free) == ("ready", 0)
    assert marked.notes[0].startswith(f"{job}/trainer/0@1#0 cannot be ended: {rank.pid} (python")
    assert marked.notes[0].endswith(") D; reboot the node")
    assert marked.notes[0] in fleet.ctl("node", "list", "-o", "wide") + fleet.ctl("node", "show", node)

    fleet.exec(node, "fsfreeze", "-u", MOUNT)
    fleet.until_nodes(lambda views: all(not view.notes for view in views) and sorted(v.free for v in views) == [0, 1])
    assert not fleet.of_job(node, job)
    assert (fleet.client.job(job).state, gang(fleet.client.job(job)).round) == ("running", 2)
