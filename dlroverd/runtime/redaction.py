"""What looks like a secret is taken out of an event before anyone but the log has it.

Owns what a secret looks like. Works by searches for fixed texts, with short matches where one is found, so that neither
an event of 10 MB nor an operator's pattern can hold the daemon up. Hides too much rather than too little.
"""

import json
import re
import string
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

from dlroverd.config.resolve import goes_along
from dlroverd.model.globs import within
from dlroverd.model.view import EventView

HIDDEN = "***"
# A name that holds one of these, in any spelling (API_KEY, apiKey, api-key), is that of a secret ...
_NAMES = ("passw", "passphrase", "secret", "apikey", "credential", "authorization", "cookie", "signature")
# ... and these too, unless the value is a number: `max_tokens` is none.
_COUNTABLE = re.compile(r"token(?!i[sz])|(?<!^)(?<!old)pwd$")
# The name of a join token, by which people speak of it; it opens nothing.
_PUBLIC = frozenset({"token_id"})
_KEY_OF = re.compile(r"[a-z0-9][_. -]keys?$|[a-z]Keys?$", re.IGNORECASE)
# Where a name of a secret may be in a text. Lower case; each is looked for by itself, which is quick.
_MARKS = (*_NAMES, "token", "pwd", "_key", "-key")
_FORMATS = {
    # the beginning of a well-known kind of secret, and what follows in it
    **dict.fromkeys(("AKIA", "ASIA"), re.compile(r"[A-Z0-9]{16}(?![A-Za-z0-9])")),
    **dict.fromkeys(("ghp_", "gho_", "ghu_", "ghs_", "hf_"), re.compile(r"[A-Za-z0-9]{20,200}")),
    **dict.fromkeys(("github_pat_", "glpat-", "xoxa-", "xoxb-", "xoxp-"), re.compile(r"[A-Za-z0-9_-]{16,200}")),
    "sk-": re.compile(r"[A-Za-z0-9_-]{20,200}"),
    "eyJ": re.compile(r"[\w-]{8,4000}\.[\w-]{8,8000}(?:\.[\w-]{0,2000})?"),  # a JSON web token
}
_PEM, _PEM_END = "-----BEGIN ", "-----END "
_BEARER = re.compile(r"\s{1,4}[\w.~+/=-]{8,8000}")
_USERINFO = re.compile(r"[^\s\"'<>/?#]{1,500}(?=@)")
# An event without any of these, in lower case, is left as it is. The last ones are no JSON for most readers.
_HINTS = (
    *(*_MARKS, *(begin.lower() for begin in _FORMATS), _PEM.lower(), "bearer", "://", '"env', "\\u00", "skey"),
    *(":nan", ",nan", "[nan", " nan", "infinity"),
)
_DEEP = 200

_OF_NAME, _LONGEST_NAME = f"{string.ascii_letters}{string.digits}_-.", 60
_QUOTED = r"(?P<quote>\\{0,3}[\"'])(?P<text>.*?)(?P=quote)"
_GIVEN = re.compile(
    r"(?P<is>(?:\\{0,3}[\"'])?\s{0,3}(?:=>|[=:])\s{0,3})(?:"
    + _QUOTED
    + r"|(?:\\{0,3}[\"'])?(?P<bare>[^\s,;&\"'})\]]+))",
    re.DOTALL,
)
_NUMBER = re.compile(r"[+-]?\d[\d_]*(?:\.\d*)?(?:e[+-]?\d+)?", re.IGNORECASE)
_AFTER_FLAG = re.compile(r"(?P<is>\s{1,3})(?:" + _QUOTED + r"|(?P<bare>[^\s-]\S*))", re.DOTALL)
_REST_OF_LINE = re.compile(r"(?P<is>(?:\\{0,3}[\"'])?\s{0,3}[=:]\s{0,3}(?:\\{0,3}[\"'])?)(?P<bare>[^\r\n\"'\\]+)")
_SETTING = re.compile(r"([+~-]{0,3}[\w./@-]{1,200})=(.+)", re.DOTALL)
_FLAG = re.compile(r"--?[\w.-]{1,100}")


@lru_cache(maxsize=4096)
def _names_secret(name: str) -> bool:
    small = re.sub(r"[^a-z0-9]", "", name.lower())
    return name not in _PUBLIC and (any(word in small for word in _NAMES) or _countable(name))


@lru_cache(maxsize=4096)
def _countable(name: str) -> bool:
    """Tell whether a number under this name is no secret, while a text is."""
    return bool(_COUNTABLE.search(re.sub(r"[^a-z0-9]", "", name.lower())) or _KEY_OF.search(name))


class Redactor:
    """Hides what looks like a secret, and what an operator named besides."""

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        """Take the operator's texts: a plain one is hidden wherever it stands, one with `*` with the word around it."""
        self._plain = sorted((each for each in patterns if "*" not in each), key=len, reverse=True)
        self._globs = [each.split("*") for each in patterns if "*" in each]
        parts = [re.findall(r"[A-Za-z0-9_.-]+", each) for each in patterns]
        # Text that JSON writes as it is; a pattern without any has every event looked through.
        self._hints = (*_HINTS, *(max(found, key=len).lower() if found else "" for found in parts))

    def view(self, event: EventView) -> EventView:
        """Give the event as others may see it; the same one if there is nothing to hide. `body` stays a JSON object."""
        actor, cause = self.text(event.actor), self.text(event.cause)
        body = self.document(event.body)
        if body is event.body and actor is event.actor and cause is event.cause:
            return event
        return replace(event, actor=actor, cause=cause, body=body)

    def text(self, text: str) -> str:
        """Give a text without what looks like a secret in it; the same one if there is none."""
        low = _lower(text)
        return self._hide_words(_hide(text, low)) if text and self._hinted(low) else text

    def _hinted(self, low: str) -> bool:
        for hint in self._hints:  # noqa: SIM110 - each event comes here, and any() costs twice as much
            if hint in low:
                return True
        return False

    def document(self, body: str) -> str:
        """Give a JSON document without secrets, known by their looks and by their names; it stays one."""
        low = _lower(body)
        if not self._hinted(low) and body.count("{") + body.count("[") < _DEEP:
            return body
        try:
            parsed = json.loads(body, parse_constant=str)
            return json.dumps(self._within(parsed), separators=(",", ":"))
        except (ValueError, RecursionError):  # whose sender made it: a sink could not read it either
            return json.dumps({"unreadable": self.text(body[:10_000])}, separators=(",", ":"))

    def _within(self, value: Any) -> Any:
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(key): self._under(key, inner) for key, inner in value.items()}
            case list():
                return list(self._words(value))
            case _:
                return value

    def _under(self, key: str, value: Any) -> Any:
        if key in ("env", "environ", "environment") and isinstance(value, dict):
            # A secret may have any name here. Those that go along by themselves at a submit are known to be none.
            return {name: self._within(each) if goes_along(name) else HIDDEN for name, each in value.items()}
        return _concealed(value, numbers=not _countable(key)) if _names_secret(key) else self._within(value)

    def _words(self, values: list[Any]) -> Iterator[Any]:
        """Look through a list, which may be a command line: `--token=X`, or `--token` and then X."""
        flagged = False
        for value in values:
            if flagged and isinstance(value, str) and not value.startswith("--"):
                flagged = False
                yield HIDDEN
                continue
            flagged = isinstance(value, str) and bool(_FLAG.fullmatch(value)) and _names_secret(value)
            found = _SETTING.fullmatch(value) if isinstance(value, str) else None
            if found and _names_secret(found[1]) and not (_countable(found[1]) and _NUMBER.fullmatch(found[2])):
                yield f"{found[1]}={HIDDEN}"
            else:
                yield self._within(value)

    def _hide_words(self, text: str) -> str:
        for each in self._plain:
            text = text.replace(each, HIDDEN)
        if any(within(parts, text) for parts in self._globs):
            words = re.split(r"(\s+)", text)
            text = "".join(HIDDEN if any(within(parts, word) for parts in self._globs) else word for word in words)
        return text


def _concealed(value: Any, *, numbers: bool) -> Any:
    """Give the same structure with every text in it hidden, and every number if they may be secrets."""
    match value:
        case dict():
            return {key: _concealed(each, numbers=numbers) for key, each in value.items()}
        case list():
            return [_concealed(each, numbers=numbers) for each in value]
        case bool() | None | "":
            return value
        case str():
            return HIDDEN
        case _:
            return HIDDEN if numbers else value


def _lower(text: str) -> str:
    """Give a text in lower case, letter for letter: some letters have two for a small one."""
    low = text.lower()
    return low if len(low) == len(text) else "".join(each.lower() if each.isascii() else each for each in text)


def _hide(text: str, low: str) -> str:
    """Replace all that looks like a secret in a text."""
    found = sorted((begin, -end) for begin, end in _secrets(text, low))
    parts, at = [], 0
    for begin, end in found:
        if begin >= at:
            parts += [text[at:begin], HIDDEN]
        at = max(at, -end)
    return "".join([*parts, text[at:]]) if parts else text


def _secrets(text: str, low: str) -> Iterator[tuple[int, int]]:
    """Find where secrets begin and end; they may overlap."""
    for mark in _MARKS:
        yield from _found(mark, low, lambda at: _value(text, at))
    for begin, rest in _FORMATS.items():
        yield from _found(begin, text, partial(_of_format, text, begin, rest))
    yield from _found("bearer", low, lambda at: _span(_BEARER.match(text, at + 6), at + 7))
    yield from _found("://", low, lambda at: _span(_USERINFO.match(text, at + 3), at + 3))
    yield from _found(_PEM, text, lambda at: (at, _end_of_pem(text, at)))


def _found(part: str, text: str, look: Callable[[int], tuple[int, int] | None]) -> Iterator[tuple[int, int]]:
    """Look wherever `part` stands, but not within what was found before: a text is gone through once."""
    at = text.find(part)
    while at >= 0:
        span = look(at)
        if span is not None:
            yield span
        at = text.find(part, max(at + len(part), span[1] if span is not None else 0))


def _span(found: re.Match[str] | None, begin: int) -> tuple[int, int] | None:
    return (begin, found.end()) if found is not None else None


def _of_format(text: str, begin: str, rest: re.Pattern[str], at: int) -> tuple[int, int] | None:
    return None if text[at - 1 : at].isalnum() else _span(rest.match(text, at + len(begin)), at)


def _end_of_pem(text: str, at: int) -> int:
    last = text.find(_PEM_END, at)
    end = text.find("-----", last + len(_PEM_END)) if last >= 0 else -1
    return end + 5 if end >= 0 else len(text)


def _value(text: str, at: int) -> tuple[int, int] | None:
    """Find the value of a name that `at` is within: `name=value`, `"name": "value"`, `--name value`."""
    before, after = text[max(0, at - _LONGEST_NAME) : at], text[at : at + _LONGEST_NAME]
    begin, end = at - len(before) + len(before.rstrip(_OF_NAME)), at + len(after) - len(after.lstrip(_OF_NAME))
    name = text[begin:end]
    if not _names_secret(name):
        return None
    whole_line = "authorization" in name.lower() or "cookie" in name.lower()
    found = (_REST_OF_LINE if whole_line else _GIVEN).match(text, end)
    if found is None and name.startswith("-"):
        found = _AFTER_FLAG.match(text, end)
    if found is None:
        return None
    group = "bare" if found["bare"] else "text"
    return None if _countable(name) and _NUMBER.fullmatch(found[group]) else found.span(group)
