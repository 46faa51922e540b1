"""The durable log: one small interface and its SQLite implementation."""
