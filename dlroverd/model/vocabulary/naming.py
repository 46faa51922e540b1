"""Names of events and inputs, made from their classes."""

import re


def name_of(cls: type) -> str:
    """Give the name a class has in the log: `JobSubmitted` is `job_submitted`."""
    return name_of_words(cls.__name__)


def name_of_words(words: str) -> str:
    """Give `job_submitted` for `JobSubmitted`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", words).lower()
