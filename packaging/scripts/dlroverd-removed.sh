#!/bin/sh
# After removal, and after an upgrade. What `dlroverctl setup` and the daemon made is left: a fleet's only authority and log.
set -e
case "$1" in
  remove | purge | 0)
    if [ -d /run/systemd/system ]; then
      systemctl daemon-reload
    fi
    rm -rf /run/dlroverd
    for folder in /etc/dlroverd /var/lib/dlroverd /var/log/dlroverd; do
      if [ -e "$folder" ]; then
        echo "dlroverd: left $folder ($(du -sh "$folder" | cut -f1)); if this fleet is over, remove it: rm -r $folder"
      fi
    done
    ;;
esac
