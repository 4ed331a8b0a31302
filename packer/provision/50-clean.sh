#!/bin/sh
# Removes what this machine has become while it was baked, so that every instance becomes itself: identity, keys, logs, caches, state.
set -eu

# What writes its state when it stops has to stop first; this session and its sshd go on.
for unit in amazon-ssm-agent.service amazon-cloudwatch-agent.service pinion-agent.service pinion-health.socket chrony.service cron.service \
  systemd-random-seed.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer; do
  systemctl stop --quiet "$unit" 2>/dev/null || true
done
# From here to the end of the machine the journal is in memory.
journalctl --relinquish-var

apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/cache/man/* /var/cache/ldconfig/aux-cache /var/backups/*
find /etc -name '*.dpkg-*' -type f -delete

# cloud-init is purged; what it made of this machine is not.
rm -rf /etc/cloud /var/lib/cloud /run/cloud-init /etc/netplan /etc/network/interfaces.d /etc/sudoers.d/90-cloud-init-users /etc/systemd/network/*cloud-init* \
  /etc/systemd/system/cloud-init* /etc/systemd/system/cloud-* /etc/ssh/sshd_config.d/*cloud-init* /var/log/cloud-init*

# Identity. An empty machine-id is filled at boot and is no first boot (machine-id(5)): presets would enable again what 30-harden disabled.
: >/etc/machine-id
rm -f /var/lib/dbus/machine-id /etc/hostname /etc/ssh/ssh_host_* /var/lib/systemd/random-seed /var/lib/systemd/credential.secret
rm -rf /root/.ssh /home/*/.ssh /var/lib/dhcp/* /var/lib/dhcpcd/* /etc/udev/rules.d/70-persistent-* /var/lib/systemd/timers/* \
  /var/lib/systemd/network/* /var/lib/chrony/* /var/lib/private/systemd/* /etc/growroot-grown
rm -rf /var/lib/amazon /opt/aws/amazon-cloudwatch-agent/logs/* /opt/aws/amazon-cloudwatch-agent/var/* /opt/aws/amazon-cloudwatch-agent/etc/*.json \
  /opt/aws/amazon-cloudwatch-agent/etc/*.toml.bak /var/lib/pinion/*
find /root /home \( -name '.*_history' -o -name .wget-hsts -o -name .lesshst \) -delete
rm -rf /root/.cache /root/.local /home/*/.cache

# Names come from the VPC's resolver as systemd-resolved writes it down.
ln -sf /run/systemd/resolve/resolv.conf /etc/resolv.conf

# Logs and temporary files last. Folders stay: services need them.
find /var/log -type f -delete
find /var/log/journal -mindepth 1 -maxdepth 1 -exec rm -rf {} + 2>/dev/null || true
find /tmp /var/tmp -mindepth 1 -maxdepth 1 ! -name 'systemd-private-*' ! -name 'script_*.sh' -exec rm -rf {} +
sync
