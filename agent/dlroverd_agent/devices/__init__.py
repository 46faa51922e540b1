"""This host's accelerators: the plugins that read them, who computes on them, and the monitor that tells of both."""
