"""dlroverd: keeps distributed training alive on fleets run with systemd. Importing it stays cheap."""

__version__ = "0.1.0"
