"""How a call to a plugin fails. The text is one sentence, fit for `plugin list` and for a job's reason."""


class PluginError(Exception):
    """The plugin gave no usable answer."""


class PluginTimeoutError(PluginError):
    """The plugin did not answer in time."""
