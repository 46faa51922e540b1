"""The life of the daemon process."""

import os

# pydantic imports whatever plugins are installed beside it, into this process; one broken one would end it.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
