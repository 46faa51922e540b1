"""What looks like a secret leaves no event, and what does not stays as it is."""

import dataclasses
import json
import types
import typing
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlroverd.model.event import Event
from dlroverd.model.view import EventView
from dlroverd.runtime.redaction import Redactor, _names_secret

EVENT = EventView(position=1, index=0, time=1.0, name="user.x", job=1, node="", body="{}")
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEcanary\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("--password canary x", "--password *** x"),
        ("python t.py --hf-token canary --lr 1", "python t.py --hf-token *** --lr 1"),
        ("token=canary, b", "token=***, b"),
        ("{'password': 'ca na ry', 'a': 1}", "{'password': '***', 'a': 1}"),
        ('{"apiKey": "canary"}', '{"apiKey": "***"}'),
        ('said {\\"db_password\\": \\"canary\\"}', 'said {\\"db_password\\": \\"***\\"}'),
        ("Authorization: Basic Y2FuYXJ5\nnext", "Authorization: ***\nnext"),
        ("curl -H 'Cookie: a=canary; b=canary' u", "curl -H 'Cookie: ***' u"),
        ("said bearer canarycanary here", "said bearer *** here"),
        ("https://me:canary@host/x", "https://***@host/x"),
        ("AWS_SECRET_ACCESS_KEY=ca/na+ry= x", "AWS_SECRET_ACCESS_KEY=*** x"),
        ("id AKIAABCDEFGHIJKLMNOP x", "id *** x"),
        ("pull hf_" + "a" * 34 + " now", "pull *** now"),
        (f"a {JWT} b", "a *** b"),
        (f"{PEM} after", "*** after"),
        (PEM[:40], "***"),
        ("http://h/?X-Amz-Signature=canary&b=1", "http://h/?X-Amz-Signature=***&b=1"),
        ("PGPASSWORD='can ary' psql", "PGPASSWORD='***' psql"),
        ("password: hunter\u0130 x", "password: *** x"),
        ("acme tiger4 acme-77/x y", "acme *** *** y"),
    ],
)
def test_a_secret_in_a_text(text: str, shown: str) -> None:
    redactor = Redactor(["tiger4", "acme-*"])
    assert redactor.text(text) == shown
    body = json.loads(redactor.view(dataclasses.replace(EVENT, body=json.dumps({"message": text}))).body)
    assert body == {"message": shown}
    event = redactor.view(dataclasses.replace(EVENT, cause=text, actor=text))
    assert (event.cause, event.actor) == (shown, shown)


@pytest.mark.parametrize(
    "text",
    [
        "tokens=4096 max_tokens: 3 tokens_per_second=1e4",
        "TOKENIZERS_PARALLELISM=false tokenizer=gpt2",
        "Unexpected token } at 3",
        "KeyError: 'rank_key'",
        "--token --other",
        "https://host:8080/a@b task-1 disk-full",
        "all ranks exited with 0",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redactor().text(text) == text


def test_a_body_is_looked_through_to_its_depths() -> None:
    body = {
        "spec": {
            "argv": ["t.py", "--token=ca, nary", "--password", "canary", "--lr", "1", "+db.password=canary", "-v"],
            "env": {"PATH": "/bin", "NCCL_DEBUG": "INFO", "HF_TOKEN": "canary", "ANY_NAME": "canary"},
        },
        "secrets": {"a": ["canary", 1, None, True], "b": {"c": "canary"}},
        "password": 12345,
        "max_tokens": 4096,
        "key": {"job": 1},
        "loss": float("nan"),
    }
    shown = json.loads(Redactor().view(dataclasses.replace(EVENT, body=json.dumps(body))).body)
    assert shown == {
        "spec": {
            "argv": ["t.py", "--token=***", "--password", "***", "--lr", "1", "+db.password=***", "-v"],
            "env": {"PATH": "/bin", "NCCL_DEBUG": "INFO", "HF_TOKEN": "***", "ANY_NAME": "***"},
        },
        "secrets": {"a": ["***", "***", None, True], "b": {"c": "***"}},
        "password": "***",
        "max_tokens": 4096,
        "key": {"job": 1},
        "loss": "NaN",
    }


@pytest.mark.parametrize("body", ['{"password": "canary', "[" * 5000, '{"\\u0070assword": "canary"}'])
def test_what_a_sink_could_not_read_or_hides_a_name_is_an_object_without_the_secret(body: str) -> None:
    shown = Redactor().view(dataclasses.replace(EVENT, body=body)).body
    assert isinstance(json.loads(shown), dict)
    assert "canary" not in shown


def test_an_event_with_nothing_to_hide_is_the_same_one() -> None:
    event = dataclasses.replace(EVENT, body='{"key":{"job":1,"role":"trainer"},"reason":"done"}', cause="asked for")
    assert Redactor(["tiger4"]).view(event) is event


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)
    )
)
def test_any_body_stays_json_and_is_hidden_once(value: Any) -> None:
    redactor = Redactor(["tiger4", "a*b*c"])
    once = redactor.view(dataclasses.replace(EVENT, body=json.dumps({"v": value})))
    assert isinstance(json.loads(once.body), dict)
    assert json.loads(redactor.view(once).body) == json.loads(once.body)


def test_no_field_of_the_cores_own_events_is_taken_for_a_secret() -> None:
    """They would be lost to every reader, as are those that hold what is made of a secret, or where it lies."""
    seen: set[type] = set()
    names: set[str] = set()

    def walk(hint: Any) -> None:
        for part in (hint, *get_args(hint)):
            if dataclasses.is_dataclass(part) and isinstance(part, type) and part not in seen:
                seen.add(part)
                for name, inner in typing.get_type_hints(part).items():
                    names.add(name)
                    walk(inner)
            elif isinstance(part, types.UnionType | types.GenericAlias) and part is not hint:
                walk(part)

    walk(Event)
    assert {"argv", "reason", "request_id"} <= names
    assert {name for name in names if _names_secret(name)} == {"token", "secret_sha256", "secrets", "credential"}


@pytest.mark.parametrize(
    "piece", ["a", "token", "token=", "password='", "secret ", "://", "-----BEGIN ", "hf_", "eyJ", "acme-"]
)
def test_a_large_body_is_gone_through_once(piece: str) -> None:
    """No regular expression goes back and forth in it, which would take minutes."""
    redactor = Redactor(["acme-*x*y*z"])
    body = json.dumps({"text": piece * (200_000 // len(piece)), "token": "canary"})
    assert "canary" not in redactor.view(dataclasses.replace(EVENT, body=body)).body
