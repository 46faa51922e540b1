"""How each event changes the state, by noun. No policy: what may happen was decided before."""
