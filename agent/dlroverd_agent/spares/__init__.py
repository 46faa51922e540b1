"""Warm spares: beside each rank a process that has imported what it has, for its next round (docs/warm-spares.md)."""
