"""The life of the daemon process."""

import os

# What matters of gRPC's own lines (of a handshake that failed, say) is told in sentences of ours.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
# pydantic imports whatever plugins are installed beside it, into this process; one broken one would end it.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
