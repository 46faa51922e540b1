import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlroverd.trust.join_token import PREFIX, Token, TokenError, secret_sha256

FINGERPRINT = "ab" * 32


def test_a_token_is_read_as_it_was_made() -> None:
    token = Token.make(FINGERPRINT)
    assert Token.parse(token.text) == token
    assert FINGERPRINT.startswith(token.fingerprint)
    assert token.secret not in secret_sha256(token.secret)


def test_a_token_that_a_terminal_broke_is_whole_without_its_spaces() -> None:
    token = Token.make(FINGERPRINT)
    broken = f"  {token.text[:30]}\r\n   {token.text[30:60]}\n{token.text[60:].upper()}\n"
    assert Token.parse(broken) == token


@given(place=st.integers(0, 67), letter=st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_one_wrong_letter_is_seen(place: int, letter: str) -> None:
    text = Token.make(FINGERPRINT).text
    at = len(PREFIX) + place
    if text[at] == letter or place == len(text) - len(PREFIX) - 1:  # of the last letter not all bits count
        return
    with pytest.raises(TokenError, match="a letter of it is wrong"):
        Token.parse(text[:at] + letter + text[at + 1 :])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (" \n", "there is no token in it: give what `dlroverctl token create` printed."),
        ("sha256:1234", "it is no join token: one begins with `dlrj-`"),
        (Token.make(FINGERPRINT).text[:-9], "a whole token 68: copy all of it again."),
        (Token.make(FINGERPRINT).text + "a", "it has 69 letters after"),
        (Token.make(FINGERPRINT).text[:-8] + "11111111", "a letter of it is wrong: copy it again"),
    ],
    ids=["empty", "fingerprint", "short", "long", "wrong"],
)
def test_what_is_no_token_is_told_in_a_sentence_that_quotes_nothing(text: str, sentence: str) -> None:
    with pytest.raises(TokenError) as refused:
        Token.parse(text)
    assert sentence in str(refused.value)
    assert text.strip()[8:20] not in str(refused.value) or not text.strip()[8:20]
