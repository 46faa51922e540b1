#!/bin/sh
# After installation and upgrade. A .deb calls it as `configure [VERSION-BEFORE]`, an .rpm with the count of versions.
# A login service waits for `dlroverctl setup login`; one that runs is restarted.
set -e
systemd-sysusers dlroverd.conf
systemd-tmpfiles --create dlroverd.conf
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  case "$1 $2" in
    "configure "?* | "2 "*) systemctl try-restart dlroverd-login.service ;;
  esac
fi
