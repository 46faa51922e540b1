"""Becomes the program that follows the kernel's log, bound to the agent's life and to less than its share.

`python -m dlroverd_agent.signals.follow AGENT_PID PROGRAM ARGUMENT...`
"""

import os
import sys

from dlroverd.plugin_host.confine import confine

# It maps its files, 8 MiB of each at a time.
_ADDRESSES_BYTES = 16 * 1024**3


if __name__ == "__main__":
    confine(_ADDRESSES_BYTES, int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - the agent's own words
