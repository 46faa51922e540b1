"""What the host's kernel and its accelerators' driver say of their health: heard, counted, kept until it is told."""
