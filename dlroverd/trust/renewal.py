"""When a certificate file is due to be renewed: two thirds through its life."""

import random
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from dlroverd.protocol.certificates import CertificateError

_LONGEST_SLEEP_S = 3600.0
_SHORTEST_SLEEP_S = 0.2
_RETRIES_IN_LIFE = 100


@dataclass(frozen=True, slots=True)
class Term:
    """When a certificate begins and ends, in seconds since 1970."""

    begins_at: float
    ends_at: float

    @property
    def life_s(self) -> float:
        """How long it is good."""
        return self.ends_at - self.begins_at

    @property
    def is_due(self) -> bool:
        """Whether it is to be renewed by now."""
        return time.time() >= self.ends_at - self.life_s / 3

    @property
    def is_over(self) -> bool:
        """Whether it has ended, by this host's clock."""
        return time.time() > self.ends_at

    @property
    def is_late(self) -> bool:
        """Whether it should have been renewed long ago: people are to know."""
        return time.time() >= self.ends_at - self.life_s / 4

    def sleep_s(self) -> float:
        """How long to sleep before another look; jittered, so that hosts which joined together do not renew so."""
        wait_s = self.ends_at - self.life_s / 3 - time.time()
        if wait_s <= 0:  # and it was not renewed
            wait_s = self.life_s / _RETRIES_IN_LIFE
        return min(_LONGEST_SLEEP_S, max(_SHORTEST_SLEEP_S, wait_s)) * random.uniform(0.8, 1.0)  # noqa: S311 - a fleet must not come at once


def term_of(path: str) -> Term:
    """Read a certificate file; CertificateError if it holds none. May block."""
    try:
        found = x509.load_pem_x509_certificates(Path(path).read_bytes())[0]
    except OSError as error:
        raise CertificateError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise CertificateError(f"{path} holds no certificate in PEM form.") from error
    return Term(found.not_valid_before_utc.timestamp(), found.not_valid_after_utc.timestamp())
