"""A job that saves when it is told to, and says why it is stopped: tests/system/scripts/savings.py."""

from dlroverd.model.view import JobView
from tests.system.fleet import SCRIPTS, Fleet, gang, until


class Savings:
    """A job of tests/system/scripts/savings.py."""

    def __init__(self, fleet: Fleet, *flags: str, how: str = "output") -> None:
        self.fleet = fleet
        self.folder = fleet.root / "savings"
        self.folder.mkdir(exist_ok=True)
        script = str(SCRIPTS / "savings.py")
        self.job = fleet.submit("--max-restarts", "0", *flags, script, str(self.folder), how)
        self.how = how

    def saves(self) -> None:
        """Have it make a checkpoint and, if it tells of them, wait until the daemon knows."""
        known = len(self.events("checkpoint_seen"))
        (self.folder / "save").touch()
        if self.how == "silent":
            until((self.folder / "save").exists, lambda exists: not exists)
        else:
            until(lambda: len(self.events("checkpoint_seen")), lambda count: count > known)

    def saved(self) -> int:
        """Give the step that it saved last."""
        return int((self.folder / "saved").read_text())

    def events(self, name: str) -> list[str]:
        """Give the bodies of all events of one name about it."""
        return [event.body for event in self.fleet.client.events(job=self.job, names=(name,))]

    def until_on(self, nodes: int, round_: int) -> JobView:
        """Wait until it trains on so many nodes, in that round."""
        view = self.fleet.until_stepping(self.job, round_)
        assert len({rank.node for rank in gang(view).ranks}) == nodes, view
        return view

    def until_state(self, state: str) -> JobView:
        """Wait for a state."""
        return self.fleet.until_job(self.job, lambda view: view.state == state)

    def said(self) -> str:
        """Give all that its ranks of all rounds printed."""
        return output(self.fleet, self.job)


def output(fleet: Fleet, job: int) -> str:
    """Give all that the ranks of all rounds printed."""
    return fleet.ctl("logs", str(job), "--round", "all", "--no-prefix").stdout
