import './guest/enter-lab.ts';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import description from '../../package.json' with { type: 'json' };
import { bootGuest } from './guest/guest.ts';
import { sealedImage } from './guest/image.ts';
import { launchInstance } from './guest/instance.ts';
import { openLab } from './guest/lab.ts';
import { needsGuest } from './guest/missing.ts';

const script = readFileSync(fileURLToPath(new URL('../../packer/provision/60-verify.sh', import.meta.url)), 'utf8');
const checks = [...script.matchAll(/^holds "(.+?)"/gm)].map(([, name = '']) => name);

/** What each check is there for, done to an image, in the order of the checks; nothing where a booted instance is that by itself. */
const defects: Readonly<Record<string, string>> = {
  'the agent says the version that was baked': '', // The bake's version is given below.
  'the agent checks itself without a network': 'rm -r /usr/lib/pinion/compile-cache/*',
  'what runs and configures it belongs to root alone': 'chmod g+w /etc/sysctl.d/60-pinion.conf',
  'the package is as it was packed': 'echo nonsense >>/usr/lib/pinion/pinion.nft',
  'the agent has no state': 'mkdir -p /var/lib/pinion/releases',
  'systemd-analyze verify is silent':
    'mkdir /etc/systemd/system/pinion-health.socket.d; printf "[Socket]\nNonsense=1\n" >/etc/systemd/system/pinion-health.socket.d/50.conf',
  "exposure of the agent's unit is at most 1.5": 'sed -i /^CapabilityBoundingSet=/d /usr/lib/systemd/system/pinion-agent.service',
  "exposure of the app's unit is at most 1.5": 'sed -i /^CapabilityBoundingSet=/d /usr/lib/systemd/system/pinion-app.service',
  'exactly the listed units are enabled': 'systemctl enable --quiet nftables.service',
  'sshd and the package timers cannot start': 'rm /etc/systemd/system/ssh.socket',
  'there is no machine id': 'systemd-id128 new >/tmp/id; umount /etc/machine-id 2>/dev/null; cp /tmp/id /etc/machine-id',
  'there are no ssh host keys': 'touch /etc/ssh/ssh_host_ed25519_key.pub',
  'there are no authorized keys': 'mkdir -p /home/x/.ssh; touch /home/x/.ssh/authorized_keys2',
  'there is no host name, no random seed, no network lease': 'touch /var/lib/systemd/random-seed',
  'there are no logs': 'touch /var/log/chrony.log',
  'there is no journal': 'mkdir -p /var/log/journal/0123456789abcdef0123456789abcdef',
  'there is no history': 'touch /root/.bash_history',
  'there are no package lists or packages': 'touch /var/lib/apt/lists/a_Packages',
  'there are no temporary files': 'touch /var/tmp/download',
  "Amazon's agents have no state": 'mkdir -p /var/lib/amazon/ssm',
  'nothing takes commands from user data': 'mkdir -p /var/lib/cloud',
  'the network is configured once': 'touch /etc/systemd/network/10-netplan.network',
  "nothing of the bake's own is left": 'touch /usr/sbin/policy-rc.d',
  'no user has a password': "usermod -p '$y$j9T$x' root",
  'no user but root has a shell': 'useradd -s /bin/bash somebody',
  'the agent and the app are two users without a shell': 'usermod -aG pinion pinion-app',
  'nothing is writable for everybody': 'touch /etc/anybody; chmod 0666 /etc/anybody',
  'every file has an owner': 'touch /etc/nobody; chown 12345 /etc/nobody',
  'no program beyond the named ones changes its user': 'cp /usr/bin/true /usr/bin/other; chmod u+s /usr/bin/other',
  "nothing listens but the bake's sshd": '', // The agent's own health port.
  "the app's firewall rules load": '', // The nonsense above.
  'time comes from Amazon Time Sync': 'echo pool debian.pool.ntp.org >/etc/chrony/chrony.conf',
  "names come from the VPC's resolver": 'ln -sf /run/systemd/resolve/stub-resolv.conf /etc/resolv.conf',
  "the CloudWatch agent's configuration is ours": 'sed -i s,Pinion/Host,CWAgent, /usr/lib/pinion-image/cloudwatch-agent.json',
  "the console is EC2's, and the root volume grows": 'mkdir -p /boot/grub; printf "\tlinux /vmlinuz root=/dev/xvda1\n" >/boot/grub/grub.cfg',
  'the image says what it is': 'sed -i s/pkg:deb/pkg:rpm/ /usr/share/pinion-image/sbom.cdx.json',
  "the bake's environment is nowhere": 'echo secret-of-the-bake >/usr/share/left-over',
  'there are no keys': 'echo "-----BEGIN OPENSSH PRIVATE KEY-----" >/opt/key',
};

t.test('every check of 60-verify has its defect below', async (t) => {
  t.same(Object.keys(defects), checks);
});

if (needsGuest(t)) {
  const lab = await openLab(t);
  const { root } = await sealedImage();

  t.test('what each check of the bake asserts, it misses when it is not so', async (t) => {
    const { network } = await launchInstance(t, lab, { userData: '{}' });
    const guest = await bootGuest(t, { root, network });
    await guest.settled();
    for (const [name, defect] of Object.entries(defects)) {
      const { stderr, end } = await guest.exec(defect);
      t.equal(end, 0, `${name}: ${stderr}`);
    }
    await guest.write('/root/60-verify.sh', script);
    const { stdout, stderr, end } = await guest.exec(['bash', '/root/60-verify.sh'], {
      environment: { PINION_VERSION: `${description.version}-other`, BAKE_CANARY: 'secret-of-the-bake' },
      timeoutMs: 120_000,
    });
    const failed = [...stdout.matchAll(/^FAILED: (.+)$/gm)].map(([, name]) => name);
    t.same(failed, checks, stderr);
    t.match(stdout, new RegExp(`^${checks.length} checks do not hold$`, 'm'));
    t.equal(end, 1);
  });
}
