#!/bin/sh
# Configures the installed system: network, time, journal, console, root volume, Amazon's agents, and the agent's compile cache.
set -eu

# What lies in files/root lies there under its path on the image. An upload does not keep modes.
chmod -R u=rwX,go=rX "$BAKE/files/root"
chmod 0755 "$BAKE/files/root/usr/lib/pinion-image/cloudwatch-config"
cp -R "$BAKE/files/root/." /

systemctl enable --quiet systemd-networkd.service systemd-networkd-wait-online.service systemd-resolved.service chrony.service
systemctl try-restart systemd-resolved.service

if [ -e /etc/default/grub ]; then
  update-grub
else
  echo 'no grub here: console=ttyS0 is not set'
fi

# The partition grows in the initramfs; the file system at its mount, if fstab says so.
if [ -d /etc/initramfs-tools ]; then
  if ! grep -Eq '^[^#[:space:]]+[[:space:]]+/[[:space:]].*x-systemd\.growfs' /etc/fstab; then
    sed -Ei 's|^([^#[:space:]]+[[:space:]]+/[[:space:]]+[^[:space:]]+[[:space:]]+[^[:space:]]+)|\1,x-systemd.growfs|' /etc/fstab
  fi
  update-initramfs -u
else
  echo 'no kernel here: the root volume does not grow'
fi

if [ -d /opt/aws/amazon-cloudwatch-agent ]; then
  usermod --append --groups systemd-journal cwagent
  systemctl enable --quiet amazon-cloudwatch-agent.service
fi
if [ -e /usr/bin/amazon-ssm-agent ]; then
  systemctl enable --quiet amazon-ssm-agent.service
fi

# Node keeps what it compiled per user, and reads what another user of that name could have written: made by the agent's user, kept by root.
cache=/usr/lib/pinion/compile-cache
rm -rf "$cache"
install -d -o pinion -g pinion "$cache"
setpriv --reuid=pinion --regid=pinion-app --init-groups --inh-caps=-all env -i PATH=/usr/bin:/bin NODE_COMPILE_CACHE="$cache" pinion-agent check
chown -R root:root "$cache"
chmod -R u=rwX,go=rX "$cache"
