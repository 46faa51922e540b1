"""The instant checks, each on a host that is well and on ones that are not."""

import os
import resource
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from dlroverd_agent.checkups.builtin import devices, drivers, host, network, storage
from dlroverd_agent.checkups.builtin.look import lack

from dlroverd.model.checkup import CheckState
from dlroverd.model.node import DeviceObservation, DeviceState
from dlroverd.plugin_api import CheckContext, CheckedJob, CheckVerdict

OK, BAD, UNKNOWN = CheckState.OK, CheckState.BAD, CheckState.UNKNOWN
MIB = 1024**2
GPU = DeviceObservation(uuid="GPU-1", state=DeviceState.OK)


def context(**more: object) -> CheckContext:
    return replace(CheckContext(node="n1", state_dir="/tmp", python="/usr/bin/python3"), **more)  # type: ignore[arg-type] # fields of CheckContext


def found(verdict: CheckVerdict, state: CheckState, sentence: str) -> None:
    assert verdict.state is state, verdict
    assert sentence in verdict.sentence


# ---- disk


def test_a_disk_that_can_be_written_to_is_well(tmp_path: Path) -> None:
    verdict = host.disk(context(state_dir=str(tmp_path)))
    found(verdict, OK, f"are left for {tmp_path}")
    assert [figure.name for figure in verdict.figures] == ["disk_free_bytes"]


@pytest.mark.parametrize(
    ("left", "files", "inodes", "sentence"),
    [
        (64, 10**6, 1000, ""),
        (63, 10**6, 1000, "only 63 MiB are left for /data: make room"),
        (10**4, 10**6, 999, "only 999 inodes are left for /data: delete files there"),
        (10**4, 0, 0, ""),  # btrfs and some network file systems count none
    ],
)
def test_what_a_file_system_lacks(left: int, files: int, inodes: int, sentence: str) -> None:
    told = os.statvfs_result((4096, 4096, 10**7, left * 256, left * 256, files, inodes, inodes, 0, 255))
    assert lack("/data", told, 64 * MIB, 1000) == sentence


@pytest.mark.parametrize("where", ["/proc", "/sys"])
def test_a_disk_without_room_is_bad(where: str) -> None:
    found(host.disk(context(state_dir=where)), BAD, f"only 0 MiB are left for {where}")


def test_a_disk_that_takes_no_file_is_bad(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    held = os.open(folder, os.O_RDONLY)
    folder.rmdir()
    try:
        found(host.disk(context(state_dir=f"/proc/self/fd/{held}")), BAD, "cannot be written to (No such file")
    finally:
        os.close(held)


# ---- memory, clock, limits


@pytest.mark.parametrize(
    ("available", "busy", "state", "sentence"),
    [
        (4096, False, OK, "4.0 of 8.0 GiB of memory are free"),
        (255, False, BAD, "only 255 MiB of memory are free, though no job runs here"),
        (255, True, UNKNOWN, "only 255 MiB of memory are free, while a job runs here"),
    ],
)
def test_memory(available: int, busy: bool, state: CheckState, sentence: str) -> None:
    verdict = host.of_memory(8192 * MIB, available * MIB, busy=busy)
    found(verdict, state, sentence)
    assert [figure.worse for figure in verdict.figures] == ([] if state is UNKNOWN else ["less"])


@pytest.mark.parametrize(
    ("off_s", "state", "sentence"),
    [
        (0.02, OK, "within 0.1 s of the daemon's"),
        (-4.9, OK, "within 4.9 s"),
        (6.0, BAD, "6 s ahead of the daemon's: fix NTP"),
        (-7200.0, BAD, "7200 s behind the daemon's"),
        (None, UNKNOWN, "no daemon has said its time"),
    ],
)
def test_clock(off_s: float | None, state: CheckState, sentence: str) -> None:
    found(host.clock(context(clock_off_s=off_s)), state, sentence)


@pytest.mark.parametrize(
    ("bounds", "rdma", "state", "sentence"),
    [
        ((524288, 8 * MIB), [], OK, "may open 524288 files"),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), ["mlx5_0"], OK, "any number of files"),
        ((1023, 8 * MIB), [], BAD, "may open 1023 files: set LimitNOFILE"),
        ((524288, 8 * MIB), ["mlx5_0"], BAD, "may lock 8192 KiB of memory, and RDMA"),
    ],
)
def test_limits(tmp_path: Path, bounds: tuple[int, int], rdma: list[str], state: CheckState, sentence: str) -> None:
    for name in rdma:
        (tmp_path / name).mkdir()
    found(host.bounds(*bounds, tmp_path), state, sentence)


# ---- names and interface


@pytest.mark.parametrize(
    ("known", "state", "sentence"),
    [
        ({"localhost": "127.0.0.1", "gpu07": "10.0.0.7"}, OK, "localhost and gpu07 are found"),
        ({"localhost": "::1"}, OK, "gpu07, its own name, is not"),
        ({"localhost": "10.0.0.9", "gpu07": "10.0.0.7"}, BAD, "the name localhost is 10.0.0.9, another host"),
        ({"gpu07": "10.0.0.7"}, BAD, "localhost cannot be looked up (Name or service not known)"),
    ],
)
def test_names(known: dict[str, str], state: CheckState, sentence: str) -> None:
    def addresses(name: str) -> set[str]:
        if name not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return {known[name]}

    found(network.of_names("gpu07", addresses), state, sentence)


@pytest.mark.parametrize(
    ("address", "state", "sentence"),
    [
        ("", OK, "the daemon is on this host"),
        ("127.0.0.1", OK, "127.0.0.1 is on interface lo, which is up"),
        ("192.0.2.1", BAD, "no interface has 192.0.2.1"),
    ],
)
def test_interface(address: str, state: CheckState, sentence: str) -> None:
    found(network.interface(context(address=address)), state, sentence)


def test_an_interface_that_is_down_is_bad_and_one_that_is_up_tells_its_speed() -> None:
    down = network.of_interface("ib0", "10.0.0.7", up=False, mbit=0)
    found(down, BAD, "interface ib0, with 10.0.0.7, is down: see its cable")
    verdict = network.of_interface("ib0", "10.0.0.7", up=True, mbit=25000)
    found(verdict, OK, "up at 25000 Mbit/s")
    assert [(figure.value, figure.worse) for figure in verdict.figures] == [(25000, "less")]


# ---- mounts and paths


ROOT = "/dev/sda1 / ext4 rw,relatime 0 0\n"
DATA = "/dev/sdb1 /data ext4 defaults 0 2\n"


@pytest.mark.parametrize(
    ("wanted", "mounted", "state", "sentence"),
    [
        (DATA, ROOT + "/dev/sdb1 /data ext4 rw 0 0\n", OK, "2 file systems are mounted"),
        (DATA, ROOT, BAD, "/data, which /etc/fstab names, is not mounted: `mount /data`"),
        (DATA, ROOT + "/dev/sdb1 /data ext4 ro,relatime 0 0\n", BAD, "/data is mounted for reading only"),
        ("/dev/sdb1 /data ext4 ro 0 2\n", ROOT + "/dev/sdb1 /data ext4 ro 0 0\n", OK, "2 file systems"),
        ("#" + DATA + "/dev/sdb1 /data ext4 noauto 0 2\nUUID=1 none swap sw 0 0\nnonsense\n", ROOT, OK, "1 file"),
        ("UUID=2 /my\\040data ext4 rw 0 2\n", ROOT, BAD, "/my data, which /etc/fstab names"),
        ("", ROOT + "nas:/x /tmp nfs4 rw 0 0\n", OK, "2 file systems"),
    ],
)
def test_mounts(tmp_path: Path, wanted: str, mounted: str, state: CheckState, sentence: str) -> None:
    (tmp_path / "fstab").write_text(wanted)
    (tmp_path / "mounts").write_text(mounted)
    found(storage.of_tables(tmp_path / "fstab", tmp_path / "mounts", storage.answers), state, sentence)


def test_a_network_file_system_that_does_not_answer_is_unknown(tmp_path: Path) -> None:
    def answers(where: str) -> bool:
        return storage.answers(where, "import time; time.sleep(600)", 0.2)

    (tmp_path / "mounts").write_text(f"{DATA}nas:/x {tmp_path} nfs4 rw 0 0\n")
    verdict = storage.of_tables(tmp_path / "none", tmp_path / "mounts", answers)
    found(verdict, UNKNOWN, f"the file system at {tmp_path} does not answer")


def job(cwd: str) -> CheckContext:
    return context(job=CheckedJob(uid=0, gid=0, argv=("/bin/true",), cwd=cwd))


def test_paths_of_a_job(tmp_path: Path) -> None:
    found(storage.paths(context()), OK, "no job's folders")
    found(storage.paths(job(str(tmp_path))), OK, f"GiB in {tmp_path}")
    missing, full = storage.paths(job(str(tmp_path / "none"))), storage.paths(job("/proc"))
    found(missing, BAD, f"{tmp_path}/none cannot be looked at (No such file or directory)")
    found(full, BAD, "only 0 MiB are left for /proc")
    assert missing.of_job
    assert full.of_job


# ---- drivers and devices


def made(root: Path, files: dict[str, str]) -> Path:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    return root


LOADED = {
    "proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 2024\nGCC 12\n"
}


@pytest.mark.parametrize("loaded", [LOADED, {"sys/module/nvidia/version": "550.54.15\n"}])
def test_versions_that_agree_are_told(tmp_path: Path, loaded: dict[str, str]) -> None:
    python = made(tmp_path / "venv", {"lib/python3.11/site-packages/nvidia_nccl_cu12-2.21.5.dist-info/METADATA": ""})
    libraries = {"usr/lib64/libcuda.so.550.54.15": "", "usr/lib/libnccl.so.2.22.3": "", "usr/lib/libcuda.so.1": ""}
    verdict = drivers.fingerprint(made(tmp_path / "root", loaded | libraries), str(python / "bin/python"))
    found(verdict, OK, "nvidia_driver 550.54.15, libcuda 550.54.15, nccl 2.22.3, python_nccl 2.21.5")
    assert verdict.facts["kernel"] == os.uname().release


def test_a_driver_that_is_not_the_one_of_its_library_is_bad(tmp_path: Path) -> None:
    root = made(tmp_path, LOADED | {"usr/lib64/libnvidia-ml.so.560.35.3": ""})
    found(drivers.fingerprint(root, "/none"), BAD, "driver is 550.54.15, and the installed libnvidia-ml is 560.35.3")


def test_a_host_without_a_driver_is_well(tmp_path: Path) -> None:
    found(drivers.fingerprint(tmp_path, "/none"), OK, "no NVIDIA driver is loaded")


def test_the_checks_of_this_host_look_below_its_root() -> None:
    assert drivers.drivers(context()).facts["kernel"] == os.uname().release
    assert storage.mounts(context()).sentence
    assert host.limits(context()).sentence
    assert devices.devices(context()).sentence


LOST = replace(GPU, state=DeviceState.LOST, detail="it fell off the bus")
BUSY = replace(GPU, state=DeviceState.BUSY, detail="process 7 of bob has it")


@pytest.mark.parametrize(
    ("known", "on_bus", "state", "sentence"),
    [
        ((), 0, OK, "it has no accelerators"),
        ((GPU,), 1, OK, "1 devices, none lost"),
        ((GPU,), 2, BAD, "the PCI bus has 2 NVIDIA devices, and the driver 1"),
        ((), 1, UNKNOWN, "the agent knows none: is their driver loaded?"),
        ((LOST,), 1, BAD, "device GPU-1 is lost: it fell off the bus; reset it"),
        ((BUSY,), 1, UNKNOWN, "device GPU-1 is in use: process 7 of bob has it"),
    ],
)
def test_devices(
    tmp_path: Path, known: tuple[DeviceObservation, ...], on_bus: int, state: CheckState, sentence: str
) -> None:
    strange = {"sys/bus/pci/devices/0/vendor": "0x8086\n", "sys/bus/pci/devices/0/class": "0x030000\n"}
    ours = {
        f"sys/bus/pci/devices/{number}/{file}": text
        for number in range(1, on_bus + 1)
        for file, text in (("vendor", "0x10de\n"), ("class", "0x030200\n"))
    }
    found(devices.of_host(context(devices=known), made(tmp_path, strange | ours)), state, sentence)
