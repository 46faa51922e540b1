"""Everything that is examined, in the order in which it is mended."""

from collections.abc import Callable, Iterator
from pathlib import Path

from dlroverd.cli.doctor import kernel, network, training
from dlroverd.cli.doctor.finding import Finding, Host, bad, ok
from dlroverd.config import agent, daemon, login
from dlroverd.config.document import ConfigError

EXAMINATIONS: tuple[Callable[[Host], Iterator[Finding]], ...] = (
    kernel.systemd,
    kernel.control_groups,
    kernel.clock,
    kernel.limits,
    kernel.remove_ipc,
    kernel.memory,
    network.names,
    network.ports,
    network.certificates,
    network.daemon,
    training.training,
)


def examine(python: str = "") -> Iterator[Finding]:
    """Examine this host by what is configured on it."""
    of_daemon = of_agent = of_login = None
    try:
        if Path(daemon.DEFAULT_PATH).exists():
            of_daemon = daemon.load_daemon_config()
            yield ok("configuration", f"{daemon.DEFAULT_PATH} is right")
        if Path(agent.DEFAULT_PATH).exists():
            of_agent = agent.load_agent_config()
            yield ok("configuration", f"{agent.DEFAULT_PATH} is right")
        if Path(login.DEFAULT_PATH).exists():
            of_login = login.load_login_config()
            yield ok("configuration", f"{login.DEFAULT_PATH} is right")
    except ConfigError as error:
        yield bad(
            "configuration", str(error).replace("\n", "; "), "correct the file; `dlroverctl config check` reads it"
        )
    host = Host(daemon=of_daemon, agent=of_agent, login=of_login, python=python)
    for examination in EXAMINATIONS:
        yield from examination(host)
