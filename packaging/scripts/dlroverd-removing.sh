#!/bin/sh
# Before removal, and before an upgrade, which leaves the old daemon running until the new one takes over.
# A .deb calls it as `remove` or `upgrade`, an .rpm with the count of versions that are left.
set -e
case "$1" in
  remove | 0)
    if [ -d /run/systemd/system ]; then
      systemctl disable --now dlroverd.service
    fi
    ;;
esac
