#!/bin/sh
# After installation and upgrade. A .deb calls it as `configure [VERSION-BEFORE]`, an .rpm with the count of versions.
# A new agent waits for `dlroverctl setup agent`. One that runs is restarted, never stopped and started: its ranks, and the
# memory of their checkpoints, run on.
set -e
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  case "$1 $2" in
    "configure "?* | "2 "*) systemctl try-restart dlroverd-agent.service ;;
  esac
fi
