"""Who is let in: join tokens, and the certificates of hosts."""

from dlroverd.model import trust_event as ev
from dlroverd.model.spooled import Severity
from dlroverd.model.vocabulary.schema import fact

SCHEMAS = (
    fact(ev.TokenCreated, says={"token": "the token, with a digest of its secret"}),
    fact(ev.TokenRevoked),
    fact(ev.TokenForgotten, severity=Severity.DEBUG),
    fact(ev.HostEnrolled, says={"node": "the node, or `login/NAME`"}),
    fact(
        ev.CertificatesRevoked,
        severity=Severity.WARNING,
        cause="reason",
        says={"node": "the node, or `login/NAME`"},
    ),
)
