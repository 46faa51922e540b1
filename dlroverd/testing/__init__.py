"""The public test kit. Needs pytest and hypothesis."""
