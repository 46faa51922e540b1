"""Node checks: this host's own, made when the daemon asks."""
