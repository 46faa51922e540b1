"""The kernel's log from end to end, on a kernel of its own: hosts of the test bed share one that is not theirs."""

from tests.fleet.inside.running import run_on_own_kernel


def test_a_kernels_line_is_a_signal() -> None:
    run_on_own_kernel("kernel_log_cases.py", "512M")
