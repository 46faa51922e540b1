"""Stacks of ranks: what their threads are at, read from outside."""
