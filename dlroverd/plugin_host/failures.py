"""How a call to a plugin fails. The text is one sentence, fit for `plugin list` and for a job's reason."""


class PluginError(Exception):
    """The plugin gave no usable answer."""


class PluginAwayError(PluginError):
    """The plugin was not asked: it is held off, or its process is being started."""


class PluginDiedError(PluginError):
    """The plugin's process ended while it was asked."""


class PluginTimeoutError(PluginError):
    """The plugin did not answer in time."""
