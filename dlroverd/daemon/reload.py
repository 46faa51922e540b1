"""The configuration read again while the daemon runs (HUP, `systemctl reload dlroverd`).

One that cannot be used changes nothing. Of one that can, what is decided by from turn to turn counts from the next one
on; what was set up at the start (sockets, plugins, the store) needs a restart, and is named.
"""

from collections.abc import Callable
from dataclasses import replace

import structlog

from dlroverd.config.daemon import DaemonConfig
from dlroverd.config.document import ConfigError
from dlroverd.config.roles import RolesConfig
from dlroverd.config.topology import load_topology
from dlroverd.model.input import TopologySet
from dlroverd.model.limits import Limits
from dlroverd.protocol import notify

# What the core decides by, and who may call; each of the other keys is used once, at the start.
_TAKEN = ("limits", "scheduling", "automation", "allow_root", "topology", "signals", "roles")
# Of these, what the sessions go by since the start.
_SET_UP = ("unreachable_after_s", "audit_interval_s")
_LOG = structlog.get_logger("dlroverd.daemon")


class Reload:
    """Takes a changed configuration, as far as that can be done at once."""

    def __init__(
        self,
        config: DaemonConfig,
        again: Callable[[], DaemonConfig],
        limits_of: Callable[[DaemonConfig], Limits],
        take: Callable[[Limits, TopologySet, RolesConfig], None],
    ) -> None:
        """`config` is in force, `again` reads it anew, and `take` is told what counts from now on."""
        self._config = config
        self._set_up = {name: getattr(limits_of(config), name) for name in _SET_UP}
        self._again = again
        self._limits_of = limits_of
        self._take = take

    def read(self) -> None:
        """Read it again. Whatever is wrong with it, the one before stays in force, and why is said."""
        try:
            config = self._again()
            topology, wanted = load_topology(config.topology), self._limits_of(config)
        except ConfigError as error:
            for sentence in error.sentences:
                _LOG.error(f"the configuration was not taken, and the one before stays in force: {sentence}")
            notify.status(f"the new configuration was not taken: {error.sentences[0]}")
            return
        self._take(replace(wanted, **self._set_up), topology, config.roles)
        waits = [key for key in DaemonConfig.model_fields if key not in _TAKEN and self._differs(config, key)]
        waits += [
            f"limits.{name.removesuffix('_s')}" for name, kept in self._set_up.items() if getattr(wanted, name) != kept
        ]
        _LOG.info("the configuration was read again", needs_a_restart=", ".join(waits) or "nothing")
        notify.status(f"the configuration was read again; {', '.join(waits) or 'nothing'} needs a restart")
        # What needs a restart is still in force as it was: it is named again at the next reload.
        self._config = self._config.model_copy(update={key: getattr(config, key) for key in _TAKEN})

    def _differs(self, config: DaemonConfig, key: str) -> bool:
        return bool(getattr(config, key) != getattr(self._config, key))
