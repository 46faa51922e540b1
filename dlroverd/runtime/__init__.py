"""The shell round the pure core: turns, the log's thread, sessions, questions, sinks."""
