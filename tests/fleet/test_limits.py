"""What limits and the kernel's out-of-memory killer do to ranks, on a kernel with all controllers of cgroup v2."""

from tests.fleet.inside.running import run_on_own_kernel


def test_limits_and_oom_kills() -> None:
    run_on_own_kernel("limits_cases.py", "1G")
