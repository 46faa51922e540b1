"""When the certificates end that hosts showed last. Soft: each call shows one anew."""

import time
from datetime import UTC, datetime


class Certificates:
    """The terms of certificates by `model.trust.holder`."""

    def __init__(self) -> None:
        """Know of none."""
        self._terms: dict[str, tuple[float, float]] = {}

    def shown(self, holder: str, begins_at: float, ends_at: float) -> None:
        """Note what a host shows, or was given in place of that."""
        self._terms[holder] = (begins_at, ends_at)

    def problem(self, holder: str) -> str:
        """Say that a host's certificate should have been renewed by now; "" if not, or if none was seen."""
        begins_at, ends_at = self._terms.get(holder, (0.0, 0.0))
        if not ends_at or time.time() < ends_at - (ends_at - begins_at) / 4:
            return ""
        return (
            f"its certificate is good until {datetime.fromtimestamp(ends_at, UTC):%Y-%m-%d %H:%M} UTC and was not "
            "renewed: see its agent's log, or let it join again"
        )
