#!/bin/sh
# After installation and upgrade. A .deb calls it as `configure [VERSION-BEFORE]`, an .rpm with the count of versions.
# A new daemon waits for `dlroverctl setup daemon`. One that runs is restarted, never stopped and started: no job notices.
set -e
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  case "$1 $2" in
    "configure "?* | "2 "*) systemctl try-restart dlroverd.service ;;
  esac
fi
