#!/bin/sh
# Closes what nobody needs on an instance: logins, prompts, timers that change packages. An instance is replaced by a newer image, never repaired.
set -eu

# masked UNIT...: neither enabled nor startable by anything, whether or not the unit is here.
masked() {
  systemctl disable --quiet "$@" 2>/dev/null || true
  for unit in "$@"; do ln -sf /dev/null "/etc/systemd/system/$unit"; done
}

# The running sshd and this session stay; the next boot has neither. sshd's generator would open it again, on a vsock and on a local socket.
masked ssh.service ssh.socket sshd@.service sshd-keygen.service
rm -f /etc/systemd/system/sshd.service
mkdir -p /etc/systemd/system-generators
ln -sf /dev/null /etc/systemd/system-generators/systemd-ssh-generator

# A newer package means a newer image: one that changed on an instance alone is on no other, and gone with it.
masked apt-daily.timer apt-daily.service apt-daily-upgrade.timer apt-daily-upgrade.service
masked dpkg-db-backup.timer man-db.timer e2scrub_all.timer e2scrub_reap.service

masked ctrl-alt-del.target
systemctl disable --quiet getty@tty1.service

# Nobody logs in with a password, root included.
awk -F: '$2 !~ /^[!*]/ {print $1}' /etc/shadow | while read -r user; do usermod --lock "$user"; done

# Read by everybody by Debian's default; whoever logs in here came by Session Manager.
chmod 0700 /root
find /home -mindepth 1 -maxdepth 1 -type d -exec chmod 0700 {} +
