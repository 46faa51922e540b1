"""No bytes break what reads them: each decoder gives a value or refuses in its own way, and within a moment.

With DLROVERD_FUZZ_S=SECONDS each is fuzzed by atheris besides, where that is installed.
"""

import importlib.util
import os
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.properties.decoders import DECODERS, decode

FUZZ_S = os.environ.get("DLROVERD_FUZZ_S", "")
# Bytes of any kind, and of the kinds that get further: text, JSON, tags and lengths of protobuf.
WORDS = st.sampled_from(
    [
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b":",
        b",",
        b'"n":"user.x"',
        b"1e999",
        b"\n",
        b"- ",
        b"\x0a\x02",
        b"\xff" * 9,
        b"dlrj-",
    ]
)
DATA = st.one_of(st.binary(max_size=300), st.lists(st.one_of(WORDS, st.binary(max_size=8)), max_size=40).map(b"".join))


@pytest.mark.parametrize("name", DECODERS)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=DATA)
@example(data=b"")
@example(data=b"[" * 20_000)
@example(data=b'{"a":' * 20_000)
@example(data=b"9" * 20_000)
def test_no_bytes_break_it(name: str, data: bytes) -> None:
    decode(name, data)


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.skipif(
    not FUZZ_S or importlib.util.find_spec("atheris") is None, reason="needs DLROVERD_FUZZ_S and atheris"
)
def test_atheris_finds_nothing(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.properties.fuzz", name, FUZZ_S], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
