#!/bin/sh
# Installs what an instance runs, and purges what would act on it by itself: Debian's packages, the agent's own, Amazon's two agents.
set -eu
export DEBIAN_FRONTEND=noninteractive

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
# A machine that loses power in the middle is not an image: dpkg need not wait for its disk.
apt() {
  apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
    -o Dpkg::Options::=--force-confold -o Dpkg::Options::=--force-unsafe-io "$@"
}

packed=$(dpkg-deb --field "$BAKE/pinion-agent.deb" Version)
case $packed in
  "$PINION_VERSION" | "$PINION_VERSION"-*) ;;
  *)
    echo "the package is pinion-agent $packed, the bake is of $PINION_VERSION: run npm run deb, then bake the path that it prints" >&2
    exit 1
    ;;
esac

# cloud-init still works when SSH answers already, and holds apt.
if command -v cloud-init >/dev/null; then cloud-init status --wait || true; fi

# Nothing that is installed starts here: what has run has left its state in the image. Amazon's package does not ask policy-rc.d.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
ln -sf /dev/null /run/systemd/system/amazon-ssm-agent.service
nameservers=$(cat /etc/resolv.conf)
trap 'rm -f /usr/sbin/policy-rc.d /run/systemd/system/amazon-ssm-agent.service; systemctl daemon-reload' EXIT

# Named although Debian's image has most of them: what is asked for stays when cloud-init, which also asked for it, goes.
packages='ca-certificates chrony dbus iproute2 nftables polkitd python3 systemd-resolved udev'
# The partition of the root volume grows before it is mounted, where there is an initramfs.
if [ -d /etc/initramfs-tools ]; then packages="$packages cloud-initramfs-growroot"; fi
# Without the newest lists the image would lack the newest fixes, and apt calls that a warning.
apt update --error-on=any
apt full-upgrade
# shellcheck disable=SC2086 # a list of packages
apt install $packages "$BAKE/pinion-agent.deb"
# systemd-resolved takes resolv.conf over and has not been started; 50-clean points it there for good.
if [ ! -s /etc/resolv.conf ]; then
  rm -f /etc/resolv.conf
  printf '%s\n' "$nameservers" >/etc/resolv.conf
fi

# amazon NAME VERSION SHA256 URL: Amazon's packages are in no archive; what is installed is what its digest says.
amazon() {
  if [ "$2" = left-out ] || [ "$3" = left-out ]; then
    if [ "$PACKER_BUILDER_TYPE" != null ]; then
      echo "$1: an image for an account needs its version and sha256 (docs/image.md says where to find them)" >&2
      exit 1
    fi
    echo "$1 is left out, by name: this image runs in a rehearsal only"
    return
  fi
  /usr/lib/apt/apt-helper download-file "$4" "$BAKE/$1.deb" "SHA256:$3"
  apt install "$BAKE/$1.deb"
}
amazon amazon-cloudwatch-agent "$CLOUDWATCH_AGENT_VERSION" "$CLOUDWATCH_AGENT_SHA256" \
  "https://amazoncloudwatch-agent.s3.amazonaws.com/debian/amd64/$CLOUDWATCH_AGENT_VERSION/amazon-cloudwatch-agent.deb"
amazon amazon-ssm-agent "$SSM_AGENT_VERSION" "$SSM_AGENT_SHA256" \
  "https://s3.amazonaws.com/ec2-downloads-windows/SSMAgent/$SSM_AGENT_VERSION/debian_amd64/amazon-ssm-agent.deb"
# The user of an operator's session is no administrator without it.
if is_installed amazon-ssm-agent; then apt install sudo; fi

# cloud-init takes commands from user data; netplan, ec2-net-utils and ifupdown are other owners of the network; the others change packages, keys or the
# clock by themselves; pip has no place on a host: releases bring what they need.
unwanted=
for package in cloud-init netplan.io netplan-generator amazon-ec2-net-utils ifupdown dhcpcd-base isc-dhcp-client unattended-upgrades needrestart \
  apt-listchanges ssh-import-id popularity-contest rsyslog systemd-timesyncd python3-pip python3-venv python3.13-venv python3-pip-whl python3-setuptools-whl; do
  if is_installed "$package"; then unwanted="$unwanted $package"; fi
done
# shellcheck disable=SC2086 # a list of packages
apt purge --autoremove $unwanted
