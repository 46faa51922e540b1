#!/bin/sh
# Before removal, and before an upgrade, which leaves agent and ranks running until the new agent takes over.
# A .deb calls it as `remove` or `upgrade`, an .rpm with the count of versions that are left.
set -e
case "$1" in
  remove | 0)
    if [ -d /run/systemd/system ]; then
      # Without an agent nobody would watch ranks, nor end them: they end with it. Those of the process launcher are in
      # the agent's own control group, which a stop leaves alone but for this.
      mkdir -p /run/systemd/system/dlroverd-agent.service.d
      printf '[Service]\nKillMode=control-group\n' >/run/systemd/system/dlroverd-agent.service.d/removing.conf
      systemctl daemon-reload
      ranks="$(systemctl list-units --plain --no-legend --state=running 'dlroverd-*-j*.service' | wc -l)"
      if [ "$ranks" != 0 ]; then
        echo "dlroverd-agent: ending $ranks units of jobs that run here (\`dlroverctl node drain\` moves them first)"
      fi
      systemctl disable --now dlroverd-agent.service
      systemctl stop dlroverd.slice
      rm -r /run/systemd/system/dlroverd-agent.service.d/removing.conf
    fi
    ;;
esac
