#!/bin/sh
# After removal, and after an upgrade. What `dlroverctl setup` made is left.
set -e
case "$1" in
  remove | purge | 0)
    if [ -d /run/systemd/system ]; then
      systemctl daemon-reload
    fi
    if [ -e /etc/dlroverd/login ]; then
      echo "dlroverctl: left /etc/dlroverd/login; if this is no login host any more, remove it: rm -r /etc/dlroverd/login"
    fi
    ;;
esac
