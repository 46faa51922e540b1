"""When this host is rebooted: the daemon wants this boot ended, and no rank is left on it."""

from collections.abc import Callable

from dlroverd_agent.core.actions import Action, Reboot

# A host that goes down takes its agent along well before; one that is still here was not rebooted.
AGAIN_S = 120.0


class Rebooting:
    """The boot that the daemon wants ended, "" if none, and when that was tried last."""

    def __init__(self) -> None:
        """Begin with no wish heard in this life."""
        self.boot = ""
        self._tried_at = -AGAIN_S

    def look(self, now: float, actions: list[Action], *, empty: Callable[[], bool]) -> None:
        """Reboot if that is wanted and the node is `empty`; again if it is still here long after."""
        if self.boot and now >= self._tried_at + AGAIN_S and empty():
            self._tried_at = now
            actions.append(Reboot(self.boot))
