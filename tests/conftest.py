"""Options of single suites; here, so that pytest knows them wherever it is started."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite-transcripts", action="store_true", help="write what the core decides now; read the diff"
    )
    parser.addoption("--sim-seed", type=int, help="simulate this seed only, instead of fresh ones")
