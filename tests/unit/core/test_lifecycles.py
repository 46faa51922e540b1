"""The page on lifecycles is what the tables say."""

from tests.unit.core import lifecycles


def test_page_is_up_to_date() -> None:
    assert lifecycles.PAGE.read_text() == lifecycles.page(), "run `python -m tests.unit.core.lifecycles`"
