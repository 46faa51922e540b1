"""What `dlroverctl doctor` finds on hosts that are made up below a folder, and on this one."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from dlroverd.cli.app import root
from dlroverd.cli.doctor import kernel, network, training
from dlroverd.cli.doctor.finding import Finding, Host, Verdict
from dlroverd.config.agent import AgentConfig
from dlroverd.config.login import LoginConfig
from dlroverd.config.tls import TlsConfig
from dlroverd.testing.certificates import Authority

Examination = Callable[[Host], Iterator[Finding]]


def host(place: Path, files: dict[str, str]) -> Host:
    for path, content in files.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(content)
    return Host(root=place)


CASES: list[tuple[Examination, dict[str, str], Verdict, str]] = [
    (kernel.systemd, {"proc/1/comm": "sshd\n"}, Verdict.FAIL, "PID 1 is sshd"),
    (kernel.control_groups, {}, Verdict.FAIL, "not the unified hierarchy"),
    (
        kernel.control_groups,
        {"sys/fs/cgroup/cgroup.controllers": "cpu cpuset io pids\n"},
        Verdict.FAIL,
        "v2 without memory",
    ),
    (kernel.control_groups, {"sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids"}, Verdict.PASS, "v2 with"),
    (
        kernel.limits,
        {"proc/sys/fs/nr_open": "1048576", "proc/sys/kernel/pid_max": "32768"},
        Verdict.FAIL,
        "kernel.pid_max 32768",
    ),
    (kernel.limits, {"proc/sys/kernel/pid_max": "4194304"}, Verdict.PASS, "kernel.pid_max 4194304"),
    (kernel.remove_ipc, {}, Verdict.FAIL, "yes"),
    (kernel.remove_ipc, {"etc/systemd/logind.conf": "[Login]\n#RemoveIPC=no\n"}, Verdict.FAIL, "yes"),
    (kernel.remove_ipc, {"etc/systemd/logind.conf": "[Login]\nRemoveIPC=no\n"}, Verdict.PASS, "no"),
    (
        kernel.remove_ipc,
        {
            "etc/systemd/logind.conf": "[Login]\nRemoveIPC=yes\n",
            "usr/lib/systemd/logind.conf.d/90-ours.conf": "[Login]\nRemoveIPC=yes\n",
            "etc/systemd/logind.conf.d/90-ours.conf": "[Login]\nRemoveIPC = no\n",
        },
        Verdict.PASS,
        "no",
    ),
    (network.ports, {"proc/sys/net/ipv4/ip_local_port_range": "32768\t60999"}, Verdict.PASS, "20000-29999"),
    (network.ports, {"proc/sys/net/ipv4/ip_local_port_range": "1024\t60999"}, Verdict.FAIL, "any program 1024-60999"),
]


@pytest.mark.parametrize(("examination", "files", "verdict", "found"), CASES)
def test_an_examination(
    examination: Examination, files: dict[str, str], verdict: Verdict, found: str, tmp_path: Path
) -> None:
    (finding,) = examination(host(tmp_path, files))
    assert (finding.verdict, found in finding.found) == (verdict, True), finding
    assert bool(finding.fix) == (verdict is Verdict.FAIL)


def of_driver(place: Path, module: str, library: str, device: str = "0x10de") -> Finding:
    files = {"sys/bus/pci/devices/0000:17:00.0/vendor": device, "sys/bus/pci/devices/0000:17:00.0/class": "0x030200"}
    files |= {"sys/module/nvidia/version": f"{module}\n"} if module else {}
    files |= {f"usr/lib/x86_64-linux-gnu/libcuda.so.{library}": ""} if library else {}
    made = host(place, files)
    found = training.training(Host(root=made.root, python="/nonexistent/python"))
    return next(each for each in found if each.check == "driver")


def test_a_driver_whose_parts_are_of_two_versions(tmp_path: Path) -> None:
    assert of_driver(tmp_path / "none", "", "", device="0x8086").verdict is Verdict.SKIP
    assert "not loaded" in of_driver(tmp_path / "unloaded", "", "550.54.15").found
    assert of_driver(tmp_path / "well", "550.54.15", "550.54.15").verdict is Verdict.PASS
    torn = of_driver(tmp_path / "torn", "550.54.15", "560.35.03")
    assert (torn.verdict, torn.found) == (Verdict.FAIL, "the kernel has 550.54.15 and the library is 560.35.03")


def test_an_interpreter_is_asked_and_one_that_is_not_there_is_named() -> None:
    found = {each.check: each for each in training.training(Host(python=sys.executable))}
    assert found["python"].found.startswith(sys.executable)
    assert found["python"].verdict is Verdict.PASS
    assert f"python {sys.version.split()[0]}" in found["fingerprint"].found
    missing = next(training.training(Host(python="/nonexistent/python")))
    assert (missing.verdict, missing.found) == (Verdict.FAIL, "no /nonexistent/python here")


def test_certificates_that_are_ours_others_or_old(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")

    def examined(name: str) -> Finding:
        files = authority.issue(name)
        tls = TlsConfig(ca=files.ca, certificate=files.certificate, key=files.key)
        (finding,) = network.certificates(Host(agent=AgentConfig(node="n1", tls=tls)))
        login = LoginConfig(name="n1", daemon="tcp://127.0.0.1:7700", tls=tls)
        assert list(network.certificates(Host(login=login))) == [finding]
        return finding

    assert "for" in examined("n1").found
    assert examined("n1").verdict is Verdict.FAIL  # it is of the tests', and over tomorrow
    assert "must name `n1`" in examined("n2").found + examined("n2").fix


def test_it_ends_with_one_line_of_each_and_its_exit_code_says_whether_all_is_well() -> None:
    done = CliRunner().invoke(root, ["doctor", "-o", "json", "--python", sys.executable], standalone_mode=False)
    said = json.loads(done.stdout)
    assert said["kind"] == "findings"
    assert (said["version"], done.return_value) == (1, int(any(each["verdict"] == "fail" for each in said["findings"])))
