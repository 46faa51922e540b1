"""The log lines of the daemon and the agent, on stderr: for people on a terminal, else one JSON object a line."""

import logging
import sys
from typing import Any

import structlog

from dlroverd.config.daemon import LogConfig


def configure(config: LogConfig) -> None:
    """Send the lines of structlog, and those of libraries through `logging`, to stderr in one form."""
    level = logging.getLevelNamesMapping()[config.level.upper()]
    console = config.format == "console" if "format" in config.model_fields_set else sys.stderr.isatty()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Any] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if console
        else [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[structlog.stdlib.add_logger_name, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
