"""The addresses that a node says it has."""

import ipaddress
import socket

import psutil
import pytest
from dlroverd_agent.facts import node_facts, with_addresses

from dlroverd.config.agent import AgentConfig
from dlroverd.config.document import ConfigError
from dlroverd.config.tls import TlsConfig
from dlroverd.model.node import NodeFacts

TLS = TlsConfig(ca="/tls/ca.pem", certificate="/tls/n1.pem", key="/tls/n1.key")


def facts(config: AgentConfig, daemon: str) -> NodeFacts:
    return with_addresses(node_facts(config, ()), config, daemon)


def over_tcp(daemon: str, address: str = "auto") -> AgentConfig:
    return AgentConfig(daemon=[daemon], tls=TLS, address=address)


def own_addresses() -> list[str]:
    """Those that other hosts could call, of every interface."""
    every = [
        entry.address.partition("%")[0]
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        if entry.family in (socket.AF_INET, socket.AF_INET6)
    ]
    return [each for each in every if not ipaddress.ip_address(each).is_loopback and not each.startswith("fe80")]


def test_a_daemon_on_unix_sockets_is_on_this_host() -> None:
    found = facts(AgentConfig(), AgentConfig().daemon[0])
    assert (found.address, found.addresses) == ("127.0.0.1", ("127.0.0.1",))


def test_over_tcp_a_node_has_the_addresses_of_its_interfaces() -> None:
    daemon = "tcp://192.0.2.1:7700"
    found = facts(over_tcp(daemon), daemon)
    assert set(found.addresses) == (set(own_addresses()) or {"127.0.0.1"})
    assert found.address == found.addresses[0]


@pytest.mark.skipif(not own_addresses(), reason="this host has no address but loopback")
def test_the_address_towards_the_daemon_comes_first() -> None:
    for address in own_addresses():
        daemon = f"tcp://[{address}]:7700" if ":" in address else f"tcp://{address}:7700"
        assert facts(over_tcp(daemon), daemon).address == address


def test_an_address_that_is_configured_is_the_only_one() -> None:
    daemon = "tcp://192.0.2.1:7700"
    for address in ("10.0.0.7", "fd00::7", "127.0.0.2"):
        found = facts(over_tcp(daemon, address), daemon)
        assert (found.address, found.addresses) == (address, (address,))


def test_a_name_that_means_loopback_elsewhere_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"address: localhost resolves to \S+, by which a host reaches only itself"):
        node_facts(over_tcp("tcp://192.0.2.1:7700", "localhost"), ())
    assert node_facts(AgentConfig(address="localhost"), ()).address in ("127.0.0.1", "::1")


def test_a_name_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"address: nobody\.invalid cannot be looked up"):
        node_facts(over_tcp("tcp://192.0.2.1:7700", "nobody.invalid"), ())


def test_a_daemon_whose_name_is_not_known_changes_nothing() -> None:
    daemon = "tcp://nobody.invalid:7700"
    assert facts(over_tcp(daemon), daemon).addresses
