"""Interfaces and ports, as this host has them."""

import ipaddress
import socket

import psutil
import pytest
from dlroverd_agent import ports
from dlroverd_agent.network import interface_towards


def own_addresses() -> dict[str, str]:
    """Give this host's addresses that others may reach, and the interface of each."""
    return {
        each.address: name
        for name, found in psutil.net_if_addrs().items()
        for each in found
        if each.family == socket.AF_INET and not ipaddress.ip_address(each.address).is_loopback
    }


def test_the_interface_is_the_one_that_has_the_address() -> None:
    if not (own := own_addresses()):
        pytest.skip("this host has loopback only")
    assert {address: interface_towards(address, 20000) for address in own} == own


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.9", "::1", "not an address"])
def test_no_interface_is_named_where_there_is_none_to_name(address: str) -> None:
    assert interface_towards(address, 20000) == ""


def test_a_port_is_taken_while_somebody_listens_on_any_address() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.7", 0))
        port = listener.getsockname()[1]
        listener.listen()
        assert ports.taken(port)
    assert not ports.taken(port)
