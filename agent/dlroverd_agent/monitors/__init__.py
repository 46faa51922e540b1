"""What the agent reads of its host, devices and ranks, for people and for metrics. None of it decides anything."""
