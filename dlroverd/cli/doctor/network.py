"""What hosts need of each other: names, ports, certificates, and a daemon that is near."""

import asyncio
import errno
import socket
from collections.abc import Iterator
from datetime import timedelta

from dlroverd.cli.doctor.finding import Finding, Host, bad, ok, said, skipped
from dlroverd.config.agent import PEER_PORT, AgentConfig
from dlroverd.protocol.certificates import CertificateError, check, date_problem, time_left
from dlroverd.protocol.channel import DAEMON_NAME, AddressError, TlsFiles, host_port, is_tcp, loopback_of
from dlroverd.protocol.errors import CallError
from dlroverd.protocol.measure import Measured, measure

SHORT = timedelta(days=3)
MOST_SKEW_S = 1.0
MOST_ROUND_TRIP_S = 0.1
LEAST_BYTES_PER_S = 10e6


def names(host: Host) -> Iterator[Finding]:
    """This host's own name, and the daemon's, stand for addresses that others reach."""
    own = socket.gethostname()
    wanted = [f"tcp://{own}:{PEER_PORT}", *(address for address, _ in _called(host))]
    for address in wanted:
        name, port = host_port(address)
        try:
            found = sorted({str(each[4][0]) for each in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)})
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or error
            yield bad(
                "names",
                f"{name}: {why}",
                f"have it resolve on every host: DNS, or a line `ADDRESS {name}` in /etc/hosts",
            )
            continue
        if name == own and (local := loopback_of(address)):
            yield bad(
                "names",
                f"{name} is {local} here, by which a host reaches only itself; gloo takes it for its address",
                "give it the address that others use, in /etc/hosts (Debian's 127.0.1.1 line) or DNS",
            )
        else:
            yield ok("names", f"{name} is {', '.join(found)}")


def ports(host: Host) -> Iterator[Finding]:
    """Nobody else has the ports that are ours, and the kernel gives those of jobs to nobody."""
    wanted: list[tuple[str, str]] = []
    if host.daemon:
        wanted += [(address, "dlroverd") for address in host.daemon.listen if is_tcp(address)]
    if host.agent and host.agent.peer_address:
        wanted.append((host.agent.peer_address, "dlroverd-agent"))
    for address, program in wanted:
        yield _port(address, program)
    agent = host.agent or AgentConfig()
    low, high = agent.port_range
    ephemeral = host.read("/proc/sys/net/ipv4/ip_local_port_range").split()
    if len(ephemeral) == 2 and int(ephemeral[0]) <= high and low <= int(ephemeral[1]):
        yield bad(
            "ports",
            f"MASTER_PORT is taken from {low}-{high}, and the kernel gives any program {'-'.join(ephemeral)}",
            f'sysctl -w net.ipv4.ip_local_port_range="{max(32768, high + 1)} 60999", or set another port_range in '
            "agent.yaml",
        )
    else:
        yield ok("ports", f"MASTER_PORT from {low}-{high}, which the kernel gives to nobody")


def _port(address: str, program: str) -> Finding:
    host, port = host_port(address)
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            return ok("ports", f"{port} is free for {program}")
    except OSError as error:
        if error.errno == errno.EADDRINUSE and said("systemctl", "is-active", "--quiet", f"{program}.service")[0] == 0:
            return ok("ports", f"{port} is {program}'s")
        return bad(
            "ports",
            f"{program} is to listen on {address}, and cannot: {error.strerror}",
            f"stop what has it (`ss -ltnp 'sport = :{port}'` names it), or configure another",
        )


def certificates(host: Host) -> Iterator[Finding]:
    """The files of mutual TLS are there, belong together, and are valid for a while."""
    for tls, name in _with_tls(host):
        yield _certificate(tls, name)
    if not _with_tls(host):
        yield skipped("certificate", "no daemon, agent or login service with `tls` is configured here")


def _certificate(tls: TlsFiles, name: str) -> Finding:
    try:
        check(tls, name)
        problem = date_problem(tls)
        left = time_left(tls)
    except CertificateError as error:
        found, _, fix = str(error).partition(": ")
        return bad("certificate", found, fix)
    if problem:
        found, _, fix = problem.rpartition(": ")
        return bad("certificate", found, fix)
    if left < SHORT:
        return bad(
            "certificate",
            f"{tls.certificate} is valid for {left.total_seconds() / 3600:.0f} hours more",
            "it is renewed by itself while daemon and agent are connected: see the journals of both why it was not",
        )
    return ok("certificate", f"{tls.certificate} names {name} and is valid for {left.days} days")


def daemon(host: Host) -> Iterator[Finding]:
    """The daemon answers, soon and with the same time."""
    called = [(address, tls) for address, tls in _called(host) if tls is not None]
    if not called:
        yield skipped("daemon", "no agent or login service that calls one over the network is configured here")
    for address, tls in called:
        try:
            seen = asyncio.run(measure(address, tls))
        except (AddressError, CallError) as error:
            sentence = error.sentence if isinstance(error, CallError) else str(error)
            yield bad(
                "daemon", sentence, f"see that dlroverd runs there and that no firewall is on the way to {address}"
            )
            continue
        yield from _distance(address, seen)


def _distance(address: str, seen: Measured) -> Iterator[Finding]:
    found = f"{address} answers in {seen.round_trip_s * 1000:.1f} ms and takes {seen.bytes_per_s / 1e6:.0f} MB/s"
    if seen.round_trip_s > MOST_ROUND_TRIP_S or seen.bytes_per_s < LEAST_BYTES_PER_S:
        yield bad(
            "daemon", found, f"have a way with {MOST_ROUND_TRIP_S * 1000:.0f} ms and {LEAST_BYTES_PER_S / 1e6:.0f} MB/s"
        )
    else:
        yield ok("daemon", found)
    side = "ahead" if seen.skew_s > 0 else "behind"
    skew = f"the daemon's is {abs(seen.skew_s):.3f} s {side}, give or take half of the way"
    if abs(seen.skew_s) > MOST_SKEW_S + seen.round_trip_s:
        yield bad("clock skew", skew, "see which of the two is wrong, and that NTP runs on both: `timedatectl`")
    else:
        yield ok("clock skew", skew)


def _called(host: Host) -> list[tuple[str, TlsFiles | None]]:
    """Give the addresses at which this host calls a daemon over the network, and by which certificate."""
    found: list[tuple[str, TlsFiles | None]] = []
    if host.agent:
        tls = host.agent.tls.files() if host.agent.tls else None
        found += [(address, tls) for address in host.agent.daemon if is_tcp(address)]
    if host.login:
        found.append((host.login.daemon, host.login.tls.files()))
    return found


def _with_tls(host: Host) -> list[tuple[TlsFiles, str]]:
    """Give the certificate files that are configured here, each with the name they are for."""
    found = []
    if host.daemon and host.daemon.tls:
        found.append((host.daemon.tls.files(), DAEMON_NAME))
    if host.agent and host.agent.tls:
        found.append((host.agent.tls.files(), host.agent.node))
    if host.login:
        found.append((host.login.tls.files(), host.login.name))
    return found
