"""What each input means: it is checked against the state of now and becomes events, or is refused."""
