"""Join tokens, and whose certificates count."""

from dataclasses import replace

from dlroverd.core.state import State
from dlroverd.model import trust_event as ev
from dlroverd.model.trust import Certified


def token_created(s: State, e: ev.TokenCreated) -> None:
    s.put(s.tokens, e.token.id, e.token)


def token_revoked(s: State, e: ev.TokenRevoked) -> None:
    s.put(s.tokens, e.token_id, replace(s.tokens[e.token_id], revoked_by=e.actor))


def token_forgotten(s: State, e: ev.TokenForgotten) -> None:
    s.put(s.tokens, e.token_id, None)


def host_enrolled(s: State, e: ev.HostEnrolled) -> None:
    token = s.tokens[e.token_id]
    s.put(s.tokens, e.token_id, replace(token, joined=(*token.joined, e.node)))
    known = Certified(valid_after=e.valid_after, token=e.token_id, key_sha256=e.key_sha256)
    s.put(s.certified, e.node, known)


def certificates_revoked(s: State, e: ev.CertificatesRevoked) -> None:
    known = s.certified.get(e.node, Certified())
    s.put(s.certified, e.node, replace(known, valid_after=e.valid_after, revoked_by=e.actor, reason=e.reason))
