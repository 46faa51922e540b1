#!/bin/sh
# Before removal, and before an upgrade. A .deb calls it as `remove` or `upgrade`, an .rpm with the count that is left.
set -e
case "$1" in
  remove | 0)
    if [ -d /run/systemd/system ]; then
      systemctl disable --now dlroverd-login.service
    fi
    ;;
esac
