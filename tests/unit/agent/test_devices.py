"""What is said of processes on devices, and what may not be told."""

import os
import time

import pytest
from dlroverd_agent.devices.holders import holders, since

from dlroverd.plugin_api import DeviceProcess, DeviceReading


def test_a_time_of_today_is_short_and_an_older_one_has_its_date() -> None:
    now = time.time()
    assert since(now) in (time.strftime("%H:%M", time.localtime(each)) for each in (now, now + 60))
    for far in (now - 2 * 86400, now + 3600):
        assert since(far) == time.strftime("%Y-%m-%d %H:%M", time.localtime(far))


def test_processes_come_in_order_of_device_and_pid() -> None:
    def reading(uuid: str, *pids: int) -> DeviceReading:
        processes = tuple(DeviceProcess(pid=pid, memory_bytes=pid) for pid in pids)
        return DeviceReading(uuid=uuid, model="", memory_bytes=0, processes=processes)

    mine = os.getpid()
    gone = 2**22 + 1  # above the highest pid that Linux gives
    found = holders([reading("b", gone, mine), reading("a", mine)])
    assert [(each.uuid, each.pid, each.memory_bytes, each.ending) for each in found] == [
        ("b", mine, mine, False),
        ("b", gone, gone, True),
        ("a", mine, mine, False),
    ]
    assert found[1].who == f"pid {gone}, which has ended or runs where this host does not see it"


def test_a_process_without_memory_of_its_own_is_about_to_be_gone() -> None:
    """As one that the driver still cleans up after; a kernel's thread is such a one for good."""
    threads = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _is_kernel_thread(pid)]
    if not threads:
        pytest.skip("no kernel thread is to be seen here")
    reading = DeviceReading(uuid="a", model="", memory_bytes=0, processes=(DeviceProcess(pid=threads[0]),))
    assert [(each.key, each.ending) for each in holders([reading])] == [(None, True)]


def _is_kernel_thread(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return bool(int(file.read().rpartition(")")[2].split()[6]) & 0x200000)  # PF_KTHREAD
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_another_users_process_is_a_strangers_for_an_agent_that_may_not_look() -> None:
    reading = DeviceReading(uuid="a", model="", memory_bytes=0, processes=(DeviceProcess(pid=1),))
    child = os.fork()
    if not child:
        os.setuid(65534)
        (holder,) = holders([reading])
        os._exit(0 if holder.key is None and not holder.ending and holder.who.startswith("pid 1 of ") else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
