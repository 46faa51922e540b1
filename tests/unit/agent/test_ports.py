"""Whether a port is served, seen without touching it."""

import socket

import pytest
from dlroverd_agent import ports


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::")])
def test_a_port_is_served_from_listen_on_until_it_is_closed(family: socket.AddressFamily, address: str) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as server:
        server.bind((address, 0))
        port = server.getsockname()[1]
        assert not ports.served(port)
        server.listen()
        assert ports.served(port)
    assert not ports.served(port)
