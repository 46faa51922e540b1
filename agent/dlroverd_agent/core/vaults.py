"""Which jobs' checkpoint memory is needed on this node."""

from dlroverd.model.world import Held, Observed


def jobs_here(held: Held, observed: Observed) -> frozenset[int]:
    """Name the jobs that hold this node, or of which a rank is known here: until the last one is forgotten."""
    return frozenset({each.job for each in held.jobs} | {seen.key.job for seen in observed.ranks})
