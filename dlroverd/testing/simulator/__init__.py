"""A fleet in one process and one thread: virtual time, seeded chance, the real daemon core and the real agent core.

`simulation.Simulation(seed, ...)` runs clients, a daemon with its log, agents, hosts, ranks and a network, breaks
all of them, and then lets the fleet come to rest. `checks` holds what must be true meanwhile; nothing else judges.
The same seed gives the same log, byte for byte.
"""
