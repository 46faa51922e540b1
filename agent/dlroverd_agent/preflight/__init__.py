"""Before the ranks of a world start: whether they could run here, and which code they would run."""
