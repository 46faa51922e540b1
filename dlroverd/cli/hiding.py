"""Keeps a job's secrets out of what is handed on: what the daemon takes for one, and all values that its spec hides."""

import json
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlroverd.client import Client
    from dlroverd.model.job import Secret

HIDDEN = "***"
# Well below what the daemon takes at once, and what fits into a message when every letter has four bytes.
_PART = 256 * 1024
# A shorter value stands in too many places that have nothing to do with it.
_SHORTEST = 6
# A rank takes no longer one.
_MOST_OF_A_SECRET = 64 * 1024


class Hiding:
    """Hides secrets in texts and documents. The daemon has the rules, since only it knows its operator's."""

    def __init__(self, client: "Client", spec: Any, secrets: Iterable[str]) -> None:
        """Learn from a job's spec, as plain data, which values nobody may see, besides those of its `secrets`."""
        self._client = client
        self.spec = self._redacted_json(spec)
        values = {value for value in (*hidden_values(spec, self.spec), *secrets) if _is_telling(value)}
        self._values = sorted({form for value in values for form in _written(value)}, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Give a text without secrets."""
        return self._without_values("".join(self._client.redacted(part) for part in parts(text, _PART)))

    def line(self, document: Any) -> str:
        """Give what the daemon has redacted, such as an event, as JSON in a line."""
        return self._without_values(json.dumps(document, ensure_ascii=False))

    def document(self, document: Any) -> str:
        """Give a document as JSON without secrets."""
        text = json.dumps(document, ensure_ascii=False)
        if len(text) > _PART:
            return self.text(json.dumps(document, indent=2, ensure_ascii=False))
        return self._without_values(json.dumps(self._redacted_json(document), indent=2, ensure_ascii=False))

    def _redacted_json(self, document: Any) -> Any:
        return json.loads(self._client.redacted(json.dumps(document, ensure_ascii=False), json=True))

    def _without_values(self, text: str) -> str:
        for value in self._values:
            text = text.replace(value, HIDDEN)
        return text


def hidden_values(before: Any, after: Any) -> Iterator[str]:
    """Give the texts of a document that its redacted form hides, as a whole or within others."""
    match before, after:
        case dict(), dict():
            for key in before.keys() & after.keys():
                yield from hidden_values(before[key], after[key])
        case list(), list():
            for one, other in zip(before, after, strict=False):
                yield from hidden_values(one, other)
        case str(), str() if before != after:
            start, hidden, end = after.partition(HIDDEN)
            if hidden and HIDDEN not in end and before.startswith(start) and before.endswith(end):
                yield before[len(start) : len(before) - len(end)]


def secrets_here(secrets: "Iterable[Secret]") -> "dict[Secret, str]":
    """Read what this host has of secrets, "" where it has none; roles may give one name to several."""
    return {each: _secret_of(each.file) if each.file else "" for each in secrets}


def _secret_of(path: str) -> str:
    """Give the secret that a file holds, as a rank has it; "" if it cannot be read here."""
    if not os.path.isfile(path):  # a pipe would be waited for
        return ""
    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_OF_A_SECRET)
    except OSError:
        return ""
    return os.fsdecode(content.removesuffix(b"\n").removesuffix(b"\r"))


def _written(value: str) -> Iterator[str]:
    """Give the forms in which programs print a value: as it is, as Python shows it, and both within JSON, or twice."""
    for form in {value, repr(value)[1:-1]}:
        once = json.dumps(form, ensure_ascii=False)[1:-1]
        yield from (form, once, json.dumps(form)[1:-1], json.dumps(once, ensure_ascii=False)[1:-1])


def _is_telling(value: str) -> bool:
    """Tell whether a hidden value is worth looking for elsewhere: no number, no path of this host, not too short."""
    return len(value) >= _SHORTEST and not value.isdecimal() and not (value[0] == "/" and os.path.lexists(value))


def parts(text: str, size: int) -> Iterator[str]:
    """Cut a text into parts of at most `size` letters, at the ends of lines where there are any."""
    at = 0
    while at < len(text):
        end = at + size
        if end < len(text):
            end = text.rfind("\n", at, end) + 1 or end
        yield text[at:end]
        at = end
