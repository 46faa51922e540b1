"""Reading YAML: what was written, where, and one sentence for all that is not YAML."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlroverd.config.document import ConfigError
from dlroverd.config.yaml_source import MAX_FILE_BYTES, parse, read_file


def test_scalars_stay_as_they_were_written() -> None:
    document = parse(b"a: 2:4\nb: 3e-4\nc: no\nd: 017\ne: '8'\nf:\ng: ~\nh: [1, 2.50, 2020-01-01]\n", "f")
    assert document.data == {
        "a": "2:4",
        "b": "3e-4",
        "c": "no",
        "d": "017",
        "e": "8",
        "f": None,
        "g": None,
        "h": ["1", "2.50", "2020-01-01"],
    }


def test_every_part_knows_its_place() -> None:
    document = parse(b"roles:\n  ps:\n    args: [a,\n      b]\n", "job.yaml")
    assert document.sentence(("roles", "ps", "args", 1), "is odd") == "job.yaml:4:7: roles.ps.args.1: is odd"
    assert document.sentence(("roles", "ps", "env", "A"), "is odd") == "job.yaml:2:3: roles.ps.env.A: is odd"
    assert document.sentence(("name",), "is odd") == "job.yaml: name: is odd"
    assert document.sentence((), "is odd") == "job.yaml: is odd"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            b"a: [1, 2\nb: 3\n",
            "f:2:2: not valid YAML: expected ',' or ']', but got ':'; correct it here or on the line before",
        ),
        (
            b"a: 1\n b: 2\n",
            "f:2:3: not valid YAML: mapping values are not allowed here; correct it here or on the line before",
        ),
        (b"a:\n\t- 1\n", "f:2:1: not valid YAML: indent with spaces, not with tabs"),
        (b"a: 'x\n", "f:2:1: not valid YAML: found unexpected end of stream; correct it here or on the line before"),
        (b"a: 1\nb: 2\na: 3\n", "f:3:1: a is set twice (first on line 1); keep one"),
        (b"a: {b: 1, b: 2}\n", "f:1:11: b is set twice (first on line 1); keep one"),
        (b"a: &x 1\nb: *x\n", "f:2:4: aliases are not supported; write the value out"),
        (
            b"a: !!python/object/apply:os.system [ls]\n",
            "f:1:4: the tag !!python/object/apply:os.system is not allowed; drop it",
        ),
        (b"a: !secret x\n", "f:1:4: the tag !secret is not allowed; drop it"),
        (b"? [a, b]\n: 1\n", "f:1:3: a key must be a single word"),
        (b"a: 1\n---\nb: 2\n", "f:2:1: a second document begins here; keep one document in a file"),
        (b"- a\n- b\n", "f: must be a mapping of `key: value` lines"),
        (b"just words\n", "f: must be a mapping of `key: value` lines"),
        (b"a: 1\nb: \x00\n", "f:2: holds the control character U+0000; name a YAML text file"),
        (b"\x7fELF\x02\x01\xff\xfe", "f: is not text (byte 6 is not UTF-8); name a YAML file"),
        (b"[" * 100_000, "f: is nested too deeply; name a YAML file"),
        (b"#" * (MAX_FILE_BYTES + 1), "f: is larger than 1MiB; name a YAML file"),
    ],
)
def test_what_is_not_our_yaml_gets_one_sentence(content: bytes, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(content, "f")
    assert caught.value.sentences == (sentence,)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("content", [b"", b"\n\n", b"# nothing\n", b"---\n", b"null\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_an_empty_mapping(content: bytes) -> None:
    assert parse(content, "f").data == {}


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_parse_or_be_refused(content: bytes) -> None:
    sentences: tuple[str, ...] = ()
    try:
        parse(content, "f")
    except ConfigError as error:
        sentences = error.sentences
    assert len(sentences) <= 1
    assert all(sentence.startswith("f:") for sentence in sentences)


def test_a_missing_file_and_a_directory_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_file(f"{tmp_path}/no.yaml")
    assert str(caught.value) == f"{tmp_path}/no.yaml: there is no such file; check the path"
    with pytest.raises(ConfigError) as caught:
        read_file(str(tmp_path))
    assert str(caught.value) == f"{tmp_path}: is a directory; name a YAML file"
    with pytest.raises(ConfigError) as caught:
        read_file("a\0b")
    assert str(caught.value) == "a\0b: cannot be read (embedded null byte); check the path and its permissions"


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """Act as nobody where the tests are run as root, who may read every file."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("name: a\n")
    path.chmod(0)
    with unprivileged(), pytest.raises(ConfigError) as caught:
        read_file(str(path))
    assert str(caught.value) == f"{path}: cannot be read (Permission denied); check the path and its permissions"


def test_an_endless_file_is_not_read_to_its_end() -> None:
    with pytest.raises(ConfigError) as caught:
        read_file("/dev/zero")
    assert str(caught.value) == "/dev/zero: is larger than 1MiB; name a YAML file"
