"""`--progress auto`: the steps of a script that prints nothing and knows nothing of us."""

from collections.abc import Callable

from tests.system.fleet import SCRIPTS, Fleet

QUIET = str(SCRIPTS / "quiet.py")


def test_steps_of_a_silent_script_are_seen(fleet: Callable[..., Fleet]) -> None:
    here = fleet(slots=1)
    words = ("--env", "PYTHONPATH=/own", "--env", "OWN_PYTHONPATH=/own", QUIET, "60")
    job = here.submit("--progress", "auto", *words)
    assert here.until_over(job).state == "succeeded", here.ctl("logs", str(job)).stdout
    assert "step 30" in here.ctl("job", "status", str(job)).stdout
    assert here.ctl("logs", str(job)).stdout == ""
