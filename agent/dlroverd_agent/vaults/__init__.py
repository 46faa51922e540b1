"""The vaults of this node's jobs, which keep the checkpoints of their ranks in memory."""
