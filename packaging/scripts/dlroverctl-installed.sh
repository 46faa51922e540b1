#!/bin/sh
# After installation and upgrade, of a .deb and of an .rpm.
set -e
systemd-tmpfiles --create dlroverd.conf
