"""Who is let in: tokens made, shown and revoked, and names shut out."""

from dlroverd.core.state import State
from dlroverd.core.turn import Done, Outcome, Refused, Turn
from dlroverd.model import trust_event as ev
from dlroverd.model import trust_input as inp
from dlroverd.model.node import NodeState
from dlroverd.model.trust import CertificateKind, JoinToken, holder

# How long a token that ended is still listed.
_KEPT_S = 86400.0
_AWAY = frozenset({NodeState.UNREACHABLE, NodeState.LOST})
_ANOTHER = "have another made by `dlroverctl token create`"


def create(turn: Turn, item: inp.CreateToken) -> Outcome:
    """Let hosts join by a token; the same id again changes nothing."""
    known = turn.state.tokens.get(item.id)
    if known is not None:
        same = known.secret_sha256 == item.secret_sha256
        return Done() if same else Refused("token_taken", f"There is a token {item.id} already: make another.")
    for old in [each for each in turn.state.tokens.values() if each.expires_at + _KEPT_S < turn.now]:
        turn.emit(ev.TokenForgotten(token_id=old.id))
    token = JoinToken(
        id=item.id,
        kind=item.kind,
        secret_sha256=item.secret_sha256,
        uses=item.uses,
        created_at=turn.now,
        expires_at=turn.now + item.ttl_s,
        actor=item.actor,
    )
    turn.emit(ev.TokenCreated(token=token, actor=item.actor))
    return Done()


def revoke_token(turn: Turn, item: inp.RevokeToken) -> Outcome:
    """Let no more hosts join by a token."""
    known = turn.state.tokens.get(item.token)
    if known is None:
        return Refused("not_found", f"There is no token {item.token:.64}; see `dlroverctl token list`.")
    if not known.revoked_by:
        turn.emit(ev.TokenRevoked(token_id=item.token, actor=item.actor))
    return Done()


def enrol(turn: Turn, item: inp.Enrol) -> Outcome:
    """Let a host in that shows a token, once for each token and key."""
    token = turn.state.tokens.get(item.token)
    if token is None or token.secret_sha256 != item.secret_sha256:
        return Refused(
            "token_unknown", f"This daemon knows no such token (one that ended is forgotten after a day): {_ANOTHER}."
        )
    name = holder(token.kind, item.name)
    known = turn.state.certified.get(name)
    again = known is not None and known.key_sha256 == item.key_sha256
    if again and known is not None and known.token == token.id and not known.revoked_by:
        return Done()
    if problem := _spent(turn, token):
        return Refused("token_spent", f"{problem}: {_ANOTHER}.")
    if known is not None and known.revoked_by and token.created_at <= known.valid_after:
        return Refused(
            "revoked",
            f"{item.name} was shut out by {known.revoked_by} after this token was made: {_ANOTHER}.",
        )
    if not again and token.kind is CertificateKind.NODE and _is_there(turn.state, name):
        return Refused(
            "name_taken",
            f"Node {item.name} is connected, or has only just stopped: if that is another host, give this one a name "
            "of its own (--node); if this one takes its place, ask again once that is away, or run "
            f"`dlroverctl node revoke {item.name}`.",
        )
    stranger = known is None and name not in turn.state.nodes
    valid_after = known.valid_after if again and known is not None else 0.0 if stranger else turn.now
    turn.emit(ev.HostEnrolled(node=name, token_id=token.id, key_sha256=item.key_sha256, valid_after=valid_after))
    return Done()


def _spent(turn: Turn, token: JoinToken) -> str:
    if token.revoked_by:
        return f"This token was revoked by {token.revoked_by}"
    if turn.now >= token.expires_at:
        return f"This token expired {_ago(turn.now - token.expires_at)}"
    if len(token.joined) >= token.uses:
        return f"This token was good for {token.uses} host{'s' if token.uses > 1 else ''}, and all have joined"
    return ""


def _ago(seconds: float) -> str:
    for size, word in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {word} ago"
    return "just now"


def _is_there(state: State, node: str) -> bool:
    return node in state.nodes and state.nodes[node].state not in _AWAY


def revoke(turn: Turn, item: inp.RevokeCertificates) -> Outcome:
    """Shut a name out, whatever certificate it shows, until it joins anew."""
    known = [
        each
        for each in (item.name, holder(CertificateKind.LOGIN, item.name))
        if each in turn.state.certified or each in turn.state.nodes
    ]
    if not known:
        return Refused("not_found", f"There is no node or login host {item.name:.253}; see `dlroverctl node list`.")
    for each in known:
        certified = turn.state.certified.get(each)
        if certified is None or not certified.revoked_by:
            turn.emit(ev.CertificatesRevoked(node=each, valid_after=turn.now, actor=item.actor, reason=item.reason))
    return Done()
