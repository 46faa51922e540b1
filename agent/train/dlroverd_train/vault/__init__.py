"""The vault: the process that keeps the checkpoints of a job's ranks in memory on a node, and brings them to storage.

It runs as the job's user, needs nothing but the standard library and is alive while ranks and agents come and go. The
same code serves both ends of its socket, so this package also holds the rank's side of it. Nothing imports torch.
"""
