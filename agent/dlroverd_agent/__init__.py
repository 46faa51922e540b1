"""The agent: one per host, supervises training ranks."""

__version__ = "0.1.0"
