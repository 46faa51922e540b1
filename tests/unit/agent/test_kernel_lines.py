"""Lines as kernels print them (from bug reports and the kernel's own sources), and what is read from each."""

import pytest
from dlroverd_agent.signals.kernel_lines import read

from dlroverd.config.signals import shipped

XID_79 = "NVRM: Xid (PCI:0000:41:00): 79, pid=1122, GPU has fallen off the bus."
XID_31 = (
    "NVRM: Xid (PCI:0000:00:06): 31, pid=79749, name=exe, Ch 0000000a, intr 00000000. MMU Fault: ENGINE GRAPHICS GPC2 "
    "GPCCLIENT_T1_7 faulted @ 0x2b57_b3000000. Fault is of type FAULT_PDE ACCESS_TYPE_VIRT_WRITE"
)
LINES = [
    (XID_79, "xid.79", "", "0000:41:00", 1122),
    (XID_31, "xid.31", "", "0000:00:06", 79749),
    ("NVRM: Xid (PCI:0000:83:00): 48, pid='<unknown>', name=<unknown>, DBE", "xid.48", "", "0000:83:00", 0),
    ("NVRM: Xid (0000:03:00): 14, Channel 00000001", "xid.14", "", "0000:03:00", 0),
    (
        "NVRM: Xid (PCI:0000:10:1c): 63, pid=1896, Row Remapper: New row marked for remapping, reset gpu to activate.",
        "xid.63",
        "",
        "0000:10:1c",
        1896,
    ),
    (
        "Memory cgroup out of memory: Killed process 151507 (dd) total-vm:104804kB, anon-rss:64640kB, file-rss:8kB",
        "oom",
        "",
        "",
        151507,
    ),
    ("Out of memory: Killed process 4167877 (MATLAB) total-vm:78782016kB", "oom", "", "", 4167877),
    ("Memory cgroup out of memory: Kill process 9692 (a.out) score 904 or sacrifice child", "oom", "", "", 9692),
    (
        "mce: [Hardware Error]: CPU 120: Machine Check Exception: f Bank 1: bd80000000100134",
        "mce.uncorrected",
        "",
        "",
        0,
    ),
    ("mce: Uncorrected hardware memory error in user-access at 1d301b000", "mce.uncorrected", "", "", 0),
    ("mce: [Hardware Error]: Machine check events logged", "mce.corrected", "", "", 0),
    ("{1}[Hardware Error]: event severity: corrected", "mce.corrected", "", "", 0),
    ("{2}[Hardware Error]: event severity: fatal", "mce.uncorrected", "", "", 0),
    (
        "EDAC MC0: 1 UE memory read error on CPU_SrcID#0_MC#0_Chan#1_DIMM#0 (channel:1 slot:0 page:0x0)",
        "mce.uncorrected",
        "CPU_SrcID#0_MC#0_Chan#1_DIMM#0",
        "",
        0,
    ),
    (
        "EDAC MC0: 1 CE memory read error on CPU_SrcID#0_MC#1_Chan#1_DIMM#0 (channel:1 slot:0)",
        "mce.corrected",
        "CPU_SrcID#0_MC#1_Chan#1_DIMM#0",
        "",
        0,
    ),
    (
        "pcieport 0000:00:01.0: AER: Uncorrected (Fatal) error received: 0000:01:00.0",
        "pcie.fatal",
        "0000:01:00.0",
        "",
        0,
    ),
    (
        "nvidia 0000:41:00.0: PCIe Bus Error: severity=Uncorrected (Fatal), type=Transaction Layer, (Receiver ID)",
        "pcie.fatal",
        "0000:41:00.0",
        "",
        0,
    ),
    (
        "mlx5_core 0000:0d:00.0: poll_health:801:(pid 0): device's health compromised - reached miss count",
        "nic.failed",
        "0000:0d:00.0",
        "",
        0,
    ),
    (
        "mlx5_core 0000:5c:00.0: mlx5_pcie_event:299:(pid 268269): Detected insufficient power on the PCIe slot (27W).",
        "nic.failed",
        "0000:5c:00.0",
        "",
        0,
    ),
    ("NETDEV WATCHDOG: eth0 (igb): transmit queue 3 timed out", "nic.failed", "eth0", "", 0),
    ("mlx5_core 0000:41:00.0 ens3f0np0: Link down", "link.down", "ens3f0np0", "", 0),
    ("mlx5_core 0000:41:00.0 ens3f0np0: Link up", "link.up", "ens3f0np0", "", 0),
    ("bnxt_en 0000:19:00.0 ens1f0np0: NIC Link is Down", "link.down", "ens1f0np0", "", 0),
    ("igb 0000:01:00.0 eth0: igb: eth0 NIC Link is Down", "link.down", "eth0", "", 0),
    ("ixgbe 0000:01:00.0 eth0: NIC Link is Up 10 Gbps, Flow Control: RX/TX", "link.up", "eth0", "", 0),
    (
        "mlx5_core 0000:5e:00.0: Port module event: module 0, Cable unplugged",
        "link.down",
        "0000:5e:00.0",
        "",
        0,
    ),
    ("mlx5_core 0000:5e:00.0: Port module event: module 0, Cable plugged", "link.up", "0000:5e:00.0", "", 0),
    ("IPv6: ADDRCONF(NETDEV_CHANGE): ib0: link becomes ready", "link.up", "ib0", "", 0),
    (
        "EXT4-fs error (device nvme0n1): ext4_find_entry:1436: inode #2: comm cp: reading directory",
        "fs.error",
        "nvme0n1",
        "",
        0,
    ),
    ("EXT4-fs (sda1): Remounting filesystem read-only", "fs.read_only", "sda1", "", 0),
    (
        "XFS (nvme0n1p2): Metadata corruption detected at xfs_agf_read_verify+0x6a/0x90 [xfs], xfs_agf",
        "fs.error",
        "nvme0n1p2",
        "",
        0,
    ),
    ("XFS (dm-3): Corruption of in-memory data detected.  Shutting down filesystem", "fs.read_only", "dm-3", "", 0),
    (
        "BTRFS error (device sdb1): bdev /dev/sdb1 errs: wr 1, rd 0, flush 0, corrupt 0, gen 0",
        "fs.error",
        "sdb1",
        "",
        0,
    ),
    ("blk_update_request: I/O error, dev vda, sector 123456 op 0x0:(READ)", "disk.error", "vda", "", 0),
    ("Buffer I/O error on dev vda, logical block 15432, async page read", "disk.error", "vda", "", 0),
    ("nvme nvme0: controller is down; will reset: CSTS=0xffffffff, PCI_STATUS=0xffff", "disk.error", "nvme0", "", 0),
    ("nvme nvme0: I/O 566 QID 3 timeout, aborting", "disk.error", "nvme0", "", 0),
    ("nfs: server nfs1 not responding, still trying", "nfs.away", "nfs1", "", 0),
    ("nfs: server nfs1 OK", "nfs.back", "nfs1", "", 0),
    ("INFO: task kworker/13:2:4055883 blocked for more than 120 seconds.", "kernel.stuck", "", "", 4055883),
    ("watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [python:4711]", "kernel.stuck", "", "", 0),
]


@pytest.mark.parametrize("line", LINES, ids=lambda each: each[0][:50])
def test_each_line_says_what_it_says(line: tuple[str, str, str, str, int]) -> None:
    text, name, part, pci, pid = line
    heard = read(text)
    assert heard is not None
    assert (heard.name, heard.part, heard.pci, heard.pid) == (name, part, pci, pid)
    assert heard.detail == text[:240]
    if name != "xid.14":
        assert shipped().rule(name) is not None, "what we read has a row"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "EXT4-fs (vda): mounted filesystem with ordered data mode. Quota mode: none.",
        "pcieport 0000:00:01.0: AER: Corrected error received: 0000:01:00.0",
        "python[123]: segfault at 0 ip 00007f sp 00007f error 4 in libc.so.6",
        'audit: type=1400 comm="NVRM: Xid (PCI"',
        f"my own program says: {XID_79}",
        "EDAC MC: Ver: 3.0.0",
        "loop0: detected capacity change from 0 to 8",
    ],
)
def test_what_says_nothing_of_health_is_nothing(line: str) -> None:
    assert read(line) is None


def test_a_line_is_cut_and_what_cannot_be_printed_is_left_out() -> None:
    heard = read(XID_79 + "\x1b[31m\t" + "x" * 5000)
    assert heard is not None
    assert len(heard.detail) == 240
    assert heard.detail.isprintable()
