"""Which ranks' output `run` shows, from torchrun's flags. The files are complete whatever is shown."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Streams:
    """Torchrun's value of --redirects and --tee: whether it takes the output of a local rank.

    Torchrun's 1 (stdout) and 2 (stderr) are one stream here, in the order it was written.
    """

    default: bool = False
    by_local_rank: Mapping[int, bool] = field(default_factory=dict)

    def takes(self, local_rank: int) -> bool:
        """Whether the output of this local rank is taken; those a list does not name are not."""
        return self.by_local_rank.get(local_rank, self.default)


@dataclass(frozen=True, slots=True)
class Display:
    """What is shown: the local ranks asked for (None is all), less those redirected and not teed."""

    local_ranks: frozenset[int] | None = None
    redirects: Streams = Streams()
    tee: Streams = Streams()

    def shows(self, local_rank: int) -> bool:
        """Whether the output of this local rank is shown."""
        wanted = self.local_ranks is None or local_rank in self.local_ranks
        return wanted and (not self.redirects.takes(local_rank) or self.tee.takes(local_rank))


def parse_redirects(text: str) -> Streams:
    """Read --redirects: 0 or 3, or local ranks as 0:3,1:0; ValueError with a sentence."""
    streams = _streams(text, "[03]")
    if streams is None:
        raise ValueError(
            "must be 0 or 3, or these by local rank such as 0:3,1:0 (stdout and stderr are one stream here), "
            f"not '{text}'"
        )
    return streams


def parse_tee(text: str) -> Streams:
    """Read --tee: 0 to 3, or these by local rank; ValueError with a sentence."""
    streams = _streams(text, "[0-3]")
    if streams is None:
        raise ValueError(f"must be 0, 1, 2 or 3, or these by local rank such as 0:3,1:0, not '{text}'")
    return streams


def parse_local_ranks(text: str) -> frozenset[int] | None:
    """Read --local-ranks-filter: 0,1,2; empty is all; ValueError with a sentence."""
    if not text:
        return None
    if not re.fullmatch(r"\d{1,7}(,\d{1,7})*", text):
        raise ValueError(f"must be local ranks such as 0,1,2, not '{text}'")
    return frozenset(int(rank) for rank in text.split(","))


def _streams(text: str, value: str) -> Streams | None:
    if re.fullmatch(value, text):
        return Streams(default=text != "0")
    if re.fullmatch(rf"\d{{1,7}}:{value}(,\d{{1,7}}:{value})*", text):
        pairs = (pair.split(":") for pair in text.split(","))
        return Streams(by_local_rank={int(rank): taken != "0" for rank, taken in pairs})
    return None
