"""dlroverd: keeps distributed training alive on fleets run with systemd. Importing it stays cheap."""

__version__ = "0.2.0"
