"""Rules, one a file. A pass looks at what a turn touched, and emits what follows from it."""
