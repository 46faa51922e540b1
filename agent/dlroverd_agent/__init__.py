"""The agent: one per host, supervises training ranks."""

import os

# What matters of gRPC's own lines (of a handshake that failed, say) is told in sentences of ours.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

__version__ = "0.2.0"
