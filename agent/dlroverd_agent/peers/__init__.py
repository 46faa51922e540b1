"""Agents that talk to each other: what they serve, what they ask, and what they find out by it."""
