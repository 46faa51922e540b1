#!/bin/sh
# After removal, and after an upgrade. What `dlroverctl setup` and the agent made is left: certificates, output of ranks.
set -e
case "$1" in
  remove | purge | 0)
    if [ -d /run/systemd/system ]; then
      systemctl daemon-reload
    fi
    rm -rf /run/dlroverd-agent
    for folder in /etc/dlroverd /var/lib/dlroverd-agent; do
      if [ -e "$folder" ]; then
        echo "dlroverd-agent: left $folder ($(du -sh "$folder" | cut -f1)); if nobody needs it, remove it: rm -r $folder"
      fi
    done
    ;;
esac
