"""Frozen values that every part speaks in: ids, jobs, nodes, worlds, faults, events, limits.

Owns the words (DESIGN section 2) as types. Must not import anything of ours, nor do I/O.
"""
