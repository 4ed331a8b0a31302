#!/bin/bash
# Asserts what the other scripts did. A check is a command that prints nothing; what it prints is what is wrong.
set -u
count=0
failed=0

holds() { # holds NAME COMMAND...
  local name=$1 found status
  shift
  found=$("$@" 2>&1)
  status=$?
  if [ $status = 0 ] && [ -z "$found" ]; then
    count=$((count + 1))
    return
  fi
  failed=$((failed + 1))
  echo "FAILED: $name"
  printf '%s\n' "${found:-exit status $status}" | head -n 20 | sed 's/^/    /'
}

# The root file system as the snapshot has it: nothing that is mounted over it, no /proc, /run or /tmp in memory.
sealed=/run/pinion-sealed
mkdir -p $sealed
mount --bind / $sealed
trap 'umount $sealed && rmdir $sealed' EXIT
is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
absent() { compgen -G "$sealed$1"; [ $# -le 1 ] || absent "${@:2}"; } # absent PATTERN...

# --- the agent

version() {
  local said
  said=$(NODE_DISABLE_COMPILE_CACHE=1 pinion-agent --version) && [ "$said" = "$PINION_VERSION" ] || echo "pinion-agent --version: $said"
}
holds "the agent says the version that was baked" version

offline() { # without a network, as its own user, from the compile cache
  local before after
  before=$(find /usr/lib/pinion/compile-cache -type f | wc -l)
  unshare --net setpriv --reuid=pinion --regid=pinion-app --init-groups --inh-caps=-all env -i PATH=/usr/bin:/bin pinion-agent check >/dev/null ||
    echo "exit status $?"
  after=$(find /usr/lib/pinion/compile-cache -type f | wc -l)
  [ "$before" -gt 0 ] && [ "$before" = "$after" ] || echo "compile cache: $before files before, $after after"
  # Node names the folder after the user who compiled, and looks in no other.
  [ "$(basename /usr/lib/pinion/compile-cache/*)" = "$(basename /usr/lib/pinion/compile-cache/*-"$(id -u pinion)")" ] || ls /usr/lib/pinion/compile-cache
}
holds "the agent checks itself without a network" offline

owned_by_root() {
  find /usr/lib/pinion /usr/lib/pinion-image /usr/bin/pinion-agent /etc/systemd /etc/sysctl.d ! -type l \( ! -user root -o ! -group root -o -perm /022 \)
}
holds "what runs and configures it belongs to root alone" owned_by_root
holds "the package is as it was packed" dpkg -V pinion-agent
holds "the agent has no state" absent '/var/lib/pinion/*'

# --- units

units=(/usr/lib/systemd/system/pinion-*.{service,socket})
verify() { # The app's journal is named after the machine, which has no id any more: it gets one for the length of this.
  unshare --mount sh -euc 'systemd-id128 new >/run/id; mount --bind /run/id /etc/machine-id; systemd-analyze verify --man=no "$@"' sh "$@"
}
holds "systemd-analyze verify is silent" verify "${units[@]}" /etc/systemd/system/pinion-cloudwatch.service
exposure() {
  systemd-analyze security --no-pager --offline=yes --threshold=15 "/usr/lib/systemd/system/$1" >/dev/null || echo "above 1.5: systemd-analyze security $1"
}
holds "exposure of the agent's unit is at most 1.5" exposure pinion-agent.service
holds "exposure of the app's unit is at most 1.5" exposure pinion-app.service

required=(chrony.service pinion-agent.service pinion-health.socket systemd-networkd-wait-online.service systemd-networkd.service systemd-resolved.service)
for package in amazon-cloudwatch-agent amazon-ssm-agent; do
  if is_installed $package; then required+=("$package.service"); fi
done
# What Debian enables and the image keeps: none of it installs, listens or calls out.
accepted=(apparmor.service console-setup.service cron.service fstrim.timer grub-common.service keyboard-setup.service logrotate.timer
  remote-fs.target systemd-network-generator.service systemd-networkd.socket systemd-networkd-persistent-storage.service systemd-pstore.service
  systemd-resolved-monitor.socket systemd-resolved-varlink.socket systemd-userdbd.socket wtmpdb-rotate.timer wtmpdb-update-boot.service)
enabled() {
  local unit now
  now=$(systemctl list-unit-files --no-legend --state=enabled | awk '{print $1}')
  for unit in "${required[@]}"; do grep -qxF "$unit" <<<"$now" || echo "not enabled: $unit"; done
  for unit in $now; do grep -qxF "$unit" <<<"$(printf '%s\n' "${required[@]}" "${accepted[@]}")" || echo "enabled: $unit"; done
}
holds "exactly the listed units are enabled" enabled

masked() {
  local unit
  for unit in ssh.service ssh.socket sshd@.service apt-daily.timer apt-daily-upgrade.timer ctrl-alt-del.target; do
    [ "$(systemctl is-enabled "$unit" 2>/dev/null)" = masked ] || echo "not masked: $unit"
  done
  [ "$(readlink /etc/systemd/system-generators/systemd-ssh-generator)" = /dev/null ] || echo 'not masked: systemd-ssh-generator'
}
holds "sshd and the package timers cannot start" masked

# --- who this machine is

machine_id() { [ -f $sealed/etc/machine-id ] && [ ! -s $sealed/etc/machine-id ] || echo "/etc/machine-id: $(cat $sealed/etc/machine-id 2>&1)"; }
holds "there is no machine id" machine_id
holds "there are no ssh host keys" absent '/etc/ssh/ssh_host_*'
holds "there are no authorized keys" find $sealed/root $sealed/home $sealed/etc/ssh -name 'authorized_keys*'
holds "there is no host name, no random seed, no network lease" \
  absent /etc/hostname /var/lib/systemd/random-seed /var/lib/systemd/credential.secret '/var/lib/dhcp/*' /var/lib/dbus/machine-id
holds "there are no logs" find $sealed/var/log -type f
holds "there is no journal" find $sealed/var/log/journal -mindepth 1
holds "there is no history" find $sealed/root $sealed/home -name '.*_history'
holds "there are no package lists or packages" find $sealed/var/lib/apt/lists $sealed/var/cache/apt/archives -type f ! -name lock
holds "there are no temporary files" find $sealed/tmp $sealed/var/tmp -mindepth 1 ! -name '.*-unix' ! -path '*/systemd-private-*' ! -name 'script_*.sh'
holds "Amazon's agents have no state" absent /var/lib/amazon /opt/aws/amazon-cloudwatch-agent/etc/amazon-cloudwatch-agent.json

cloud_init() {
  command -v cloud-init cloud-id netplan
  absent /etc/cloud /var/lib/cloud /etc/netplan '/usr/lib/systemd/system/cloud-init*.service' /etc/sudoers.d/90-cloud-init-users
}
holds "nothing takes commands from user data" cloud_init
one_network() {
  find $sealed/etc/systemd/network $sealed/etc/network/interfaces* $sealed/etc/NetworkManager -type f ! -name 50-pinion.network 2>/dev/null
  true
}
holds "the network is configured once" one_network
holds "nothing of the bake's own is left" absent /usr/sbin/policy-rc.d '/etc/apt/apt.conf.d/*proxy*'

# --- who may do what

passwords() { awk -F: '$2 !~ /^[!*]/ {print $1}' $sealed/etc/shadow; }
holds "no user has a password" passwords
shells() { awk -F: '$1 != "root" && $7 !~ /(nologin|false|sync)$/ {print $1 ": " $7}' $sealed/etc/passwd; }
holds "no user but root has a shell" shells
accounts() {
  local user
  for user in pinion pinion-app; do [ "$(getent passwd $user | cut -d: -f7)" = /usr/sbin/nologin ] || echo "$user: $(getent passwd $user)"; done
  [ "$(id -u pinion)" != "$(id -u pinion-app)" ] || echo 'one uid for both'
  [ "$(id -Gn pinion-app)" = pinion-app ] || echo "pinion-app is in $(id -Gn pinion-app)"
}
holds "the agent and the app are two users without a shell" accounts
world_writable() { find $sealed -xdev \( -type d ! -perm -1000 -o -type f \) -perm -0002; }
holds "nothing is writable for everybody" world_writable
nobody_owned() { find $sealed -xdev \( -nouser -o -nogroup \); }
holds "every file has an owner" nobody_owned
changers=(/usr/bin/{chage,chfn,chsh,crontab,dotlockfile,expiry,gpasswd,mount,newgrp,passwd,pkexec,ssh-agent,su,sudo,umount} /usr/sbin/unix_chkpwd
  /usr/lib/{dbus-1.0/dbus-daemon-launch-helper,openssh/ssh-keysign,polkit-1/polkit-agent-helper-1})
setuid() {
  find $sealed -xdev -type f -perm /6000 -printf '/%P\n' | grep -vxF "$(printf '%s\n' "${changers[@]}")"
  true
}
holds "no program beyond the named ones changes its user" setuid

listening() { # Sockets of this machine's own processes; a guest in its host's network sees the host's without a process.
  ss -Hlntup | grep 'users:' | grep -vE 'users:\(\("(sshd|systemd-network)'
  true
}
holds "nothing listens but the bake's sshd" listening

# --- configuration

holds "the app's firewall rules load" unshare --map-root-user --net nft --check --file /usr/lib/pinion/pinion.nft
chrony() { chronyd -p -f /etc/chrony/chrony.conf | grep -qx 'server 169.254.169.123 .*' || echo 'no Amazon Time Sync'; }
holds "time comes from Amazon Time Sync" chrony
resolver() { [ "$(readlink $sealed/etc/resolv.conf)" = /run/systemd/resolve/resolv.conf ] || ls -l $sealed/etc/resolv.conf; }
holds "names come from the VPC's resolver" resolver
cloudwatch() {
  python3 -IS -c '
import json, sys
config = json.load(open(sys.argv[1]))
journals = config["logs"]["logs_collected"]["journald"]["collect_list"]
for entry in journals:
    if not entry["log_group_name"].startswith("/pinion/{app}/{env}/"): print(entry)
if config["agent"]["run_as_user"] != "cwagent" or config["metrics"]["namespace"] != "Pinion/Host" or not journals: print(config)
' /usr/lib/pinion-image/cloudwatch-agent.json
  if is_installed amazon-cloudwatch-agent; then id -Gn cwagent | grep -qw systemd-journal || echo 'cwagent may not read the journal'; fi
}
holds "the CloudWatch agent's configuration is ours" cloudwatch
console() {
  [ -e /boot/grub/grub.cfg ] || return 0
  grep -E '^\s+linux\s' /boot/grub/grub.cfg | grep -v 'console=ttyS0'
  grep -Eq '^[^#]+\s/\s.*x-systemd\.growfs' /etc/fstab || echo 'fstab: the root file system does not grow'
  for image in /boot/initrd.img-*; do lsinitramfs "$image" | grep -q growroot || echo "$image: the root partition does not grow"; done
}
holds "the console is EC2's, and the root volume grows" console

image() {
  python3 -IS -c '
import json
image, sbom = json.load(open("/etc/pinion-image.json")), json.load(open("/usr/share/pinion-image/sbom.cdx.json"))
if len(sbom["components"]) != image["packages"]: print(image["packages"], len(sbom["components"]))
for name in ("pinion-agent", "systemd", "libc6"):
    if not any(part["purl"].startswith("pkg:deb/") for part in sbom["components"] if part["name"] == name): print(name)
'
}
holds "the image says what it is" image

# --- secrets

canary() { grep -rlF --devices=skip -- "$BAKE_CANARY" $sealed; true; }
holds "the bake's environment is nowhere" canary
secrets() {
  grep -rlIE --devices=skip -e '-----BEGIN [A-Z ]*PRIVATE KEY-----' -e '\b(AKIA|ASIA)[0-9A-Z]{16}\b' $sealed/{etc,root,home,var,opt,srv}
  true
}
holds "there are no keys" secrets

if [ $failed -gt 0 ]; then
  echo "$failed checks do not hold"
  exit 1
fi
echo "$count checks hold"
