"""Who is let in: a token's uses are counted in the log, and a name that is shut out needs a new one."""

import pytest

from dlroverd.core.turn import Done, Outcome, Refused
from dlroverd.model import trust_input as inp
from dlroverd.model.trust import CertificateKind
from dlroverd.runtime import codec
from tests.unit.core.desk import Desk


class Office(Desk):
    def token(self, name: str = "t1", *, uses: int = 1, ttl_s: float = 60.0, kind: str = "node") -> Outcome:
        wanted = inp.CreateToken(
            id=name, kind=CertificateKind(kind), secret_sha256=f"of {name}", uses=uses, ttl_s=ttl_s, actor="ann"
        )
        return self.turn(wanted).outcomes[0]

    def join(self, name: str, token: str = "t1", *, key: str = "", secret: str = "") -> Outcome:
        shown = inp.Enrol(
            token=token, secret_sha256=secret or f"of {token}", name=name, key_sha256=key or f"key of {name}"
        )
        return self.turn(shown).outcomes[0]

    def revoke(self, name: str) -> Outcome:
        return self.turn(inp.RevokeCertificates(name=name, actor="ann", reason="it was stolen")).outcomes[0]


@pytest.fixture
def office() -> Office:
    return Office()


def sentence(outcome: Outcome) -> str:
    assert isinstance(outcome, Refused), outcome
    return outcome.sentence


def test_a_token_is_good_for_so_many_hosts_and_the_same_host_asks_twice_for_nothing(office: Office) -> None:
    assert office.token(uses=2) == Done()
    for _ in range(3):
        assert office.join("n1") == Done()
    assert office.join("n2") == Done()
    assert sentence(office.join("n3")).startswith(
        "This token was good for 2 hosts, and all have joined: have another made by `dlroverctl token create`."
    )
    assert office.state.tokens["t1"].joined == ("n1", "n2")


def test_a_token_ends_with_its_time_or_when_it_is_revoked(office: Office) -> None:
    office.token("t1")
    office.token("t2")
    assert office.turn(inp.RevokeToken(token="t2", actor="bob")).outcomes[0] == Done()
    assert sentence(office.join("n1", "t2")).startswith("This token was revoked by bob: have another made")
    office.now += 181.0
    assert sentence(office.join("n1", "t1")).startswith("This token expired 2 min ago: have another made")
    assert "There is no token t9" in sentence(office.turn(inp.RevokeToken(token="t9", actor="bob")).outcomes[0])


def test_a_token_that_is_not_known_or_has_another_secret_is_one_and_the_same(office: Office) -> None:
    office.token()
    assert sentence(office.join("n1", "t9")) == sentence(office.join("n1", secret="guessed"))
    assert office.state.tokens["t1"].joined == ()


def test_the_same_token_twice_is_one_and_another_of_its_id_is_refused(office: Office) -> None:
    assert office.token() == Done()
    assert office.token() == Done()
    other = inp.CreateToken(id="t1", kind=CertificateKind.NODE, secret_sha256="other", uses=1, ttl_s=60.0, actor="eve")
    assert "There is a token t1 already" in sentence(office.turn(other).outcomes[0])


def test_nobody_takes_the_name_of_a_node_that_is_there(office: Office) -> None:
    office.token(uses=9)
    office.join("n1")
    office.node("n1")
    assert sentence(office.join("n1", key="another")).startswith(
        "Node n1 is connected, or has only just stopped: if that is another host, give this one a name"
    )
    assert office.join("n1") == Done()


def test_a_host_that_takes_the_place_of_one_that_is_away_shuts_that_out(office: Office) -> None:
    office.token(uses=9)
    office.join("n1")
    assert office.state.certified["n1"].valid_after == 0.0
    office.now += 7.0
    assert office.join("n1", key="another") == Done()
    assert office.state.certified["n1"].valid_after == office.now


def test_a_name_that_was_shut_out_needs_a_token_made_later(office: Office) -> None:
    office.token(uses=9)
    office.join("n1")
    office.now += 7.0
    assert office.revoke("n1") == Done()
    assert office.state.certified["n1"].valid_after == office.now
    assert sentence(office.join("n1")).startswith("n1 was shut out by ann after this token was made: have another")
    office.now += 1.0
    office.token("t2")
    assert office.join("n1", "t2", key="new") == Done()
    assert office.state.certified["n1"].revoked_by == ""
    assert office.state.certified["n1"].valid_after == office.now


def test_a_host_that_kept_its_key_stays_shut_out_by_what_it_had(office: Office) -> None:
    office.token("t1")
    office.join("n1")
    office.now += 7.0
    office.revoke("n1")
    revoked_at = office.now
    office.now += 1.0
    office.token("t2")
    assert office.join("n1", "t2") == Done()
    assert office.state.certified["n1"].valid_after == revoked_at


def test_a_node_with_certificates_from_files_can_be_shut_out_and_a_stranger_cannot(office: Office) -> None:
    office.node("n1")
    assert office.revoke("n1") == Done()
    assert office.state.certified["n1"].revoked_by == "ann"
    assert "There is no node or login host n2" in sentence(office.revoke("n2"))


def test_a_node_and_a_login_host_of_one_name_are_two(office: Office) -> None:
    office.token(kind="login")
    assert office.join("n1") == Done()
    assert set(office.state.certified) == {"login/n1"}


def test_tokens_that_ended_a_day_ago_are_forgotten_and_all_of_it_can_be_read_again(office: Office) -> None:
    office.token("t1")
    office.join("n1")
    office.now += 90_000.0
    office.token("t2")
    assert set(office.state.tokens) == {"t2"}
    again = codec.decode_state(codec.encode_tables(codec.tables_of(office.state)), "log1")
    assert (again.tokens, again.certified) == (office.state.tokens, office.state.certified)
