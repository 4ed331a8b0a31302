/** `node test/image/guest/bake.ts`: bakes the image of what is in the work tree now, unless the cache has it, and prints its folder. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import manifest from '../../../package.json' with { type: 'json' };
import { agentPackage } from './agent-package.ts';
import { aptSettings } from './apt-settings.ts';
import { builderRoot } from './artifact.ts';
import { baseRoot } from './base.ts';
import { command, endingTogether } from './command.ts';
import { imageFolder, labFolder, projectRoot } from './folders.ts';
import { bootGuest } from './guest.ts';
import { launchInstance } from './instance.ts';
import { openLab } from './lab.ts';
import { enterLab } from './lab-process.ts';
import { missingForGuests } from './missing.ts';
import { keyOf, stored, storedPath } from './stored.ts';

const missing = missingForGuests();
if (missing !== undefined) {
  process.stderr.write(`the image can't be baked here: ${missing}\n`);
  process.exit(1);
}

/** As cloud-init writes it on EC2, without its match by MAC: a veth has no permanent one, which networkd asks for. */
const netplan = 'network:\n  version: 2\n  ethernets:\n    ens5:\n      dhcp4: true\n';

const undo: (() => unknown)[] = [];
const t = { teardown: (work: () => unknown) => undo.push(work) };
const log = join(imageFolder, 'bake.log');

const [base, deb] = await Promise.all([timed('base root', baseRoot), timed('package', agentPackage)]);
const key = await imageKey(base, deb);
if (!existsSync(storedPath('sealed', key))) enterLab();
try {
  // The tree that artifacts are built in has nothing to do with it, and is needed next.
  const [folder] = await Promise.all([timed('sealed image', () => stored('sealed', key, bake)), timed('builder root', builderRoot)]);
  process.stdout.write(`${folder}\n`);
} catch (thrown) {
  process.stderr.write(`${(thrown as Error).message}\n`);
  process.exitCode = 1;
} finally {
  for (const work of undo.reverse()) await work();
}

/** A change to the agent's sources that leaves the package's bytes alone bakes nothing anew. */
async function imageKey(base: string, deb: string): Promise<string> {
  const digest = createHash('sha256')
    .update(await readFile(deb))
    .digest('hex');
  return keyOf([base, digest], ['packer/*.hcl', 'packer/provision/**', 'packer/files/**', 'test/image/guest/bake.ts']);
}

/** As in an account: a stock Debian is launched with a key, Packer logs in and runs the provision scripts, it is stopped, its disk is kept. */
async function bake(folder: string): Promise<void> {
  const lab = await openLab(t);
  await lab.openGateway();
  const instance = await launchInstance(t, lab);
  const key = join(labFolder, 'key');
  await command(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', key]);
  const apt = await aptSettings();
  const files = {
    // What cloud-init does with EC2's metadata: the key pair's public half, and a network that asks.
    '/root/.ssh/authorized_keys': await readFile(`${key}.pub`, 'utf8'),
    '/etc/netplan/50-cloud-init.yaml': netplan,
    ...apt,
  };
  const guest = await bootGuest(t, { root: base, network: instance.network, files });
  await guest.settled();

  const canary = randomBytes(24).toString('hex');
  await runPacker(instance.network.address, key, canary);
  await guest.poweroff();
  await guest.copyDisk(join(folder, 'root'));
  for (const path of Object.keys(apt)) await rm(join(folder, 'root', path), { force: true });
  await copyFile(deb, join(folder, 'pinion-agent.deb'));
  await writeFile(join(folder, 'canary'), canary);
  await copyFile(log, join(folder, 'packer.log'));
}

async function runPacker(host: string, key: string, canary: string): Promise<void> {
  const stage = join(labFolder, 'packer');
  // Packer 1.6, the last that Debian has, can't read the modern constraints.
  const modern = join(projectRoot, 'packer/versions.pkr.hcl');
  await cp(join(projectRoot, 'packer'), stage, { recursive: true, filter: (path) => path !== modern && path !== join(projectRoot, 'packer/deb') });
  const commit = (await command(['git', '-C', projectRoot, 'rev-parse', '--short', 'HEAD']).catch(() => '0000000')).trim();
  const variables = { deb, version: manifest.version, commit, ssh_host: host, ssh_port: '22', ssh_key: key, manifest: join(labFolder, 'manifest.json') };
  const argv = [
    // It runs its plugins as processes, which it does not take along when it is killed.
    ...[...endingTogether, 'packer', 'build', '-only=null.rehearsal', `-var-file=${join(stage, 'rehearsal.pkrvars.hcl')}`],
    ...Object.entries(variables).flatMap(([name, value]) => ['-var', `${name}=${value}`]),
    stage,
  ];
  const env = { ...process.env, PACKER_NO_COLOR: '1', CHECKPOINT_DISABLE: '1', PACKER_CONFIG_DIR: labFolder, TMPDIR: labFolder, AWS_SECRET_ACCESS_KEY: canary };
  try {
    await command(['sh', '-c', 'exec "$@" >"$0" 2>&1', log, ...argv], { env, timeoutMs: 600_000 });
  } catch (cause) {
    const lines = (await readFile(log, 'utf8')).trimEnd().split('\n');
    throw new Error(`packer failed; the last lines of ${log}:\n${lines.slice(-60).join('\n')}`, { cause });
  }
}

/** Says what took longer than a look at the cache. */
async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  const done = await work();
  const seconds = (performance.now() - startedAt) / 1000;
  if (seconds > 1) process.stderr.write(`${what}: ${seconds.toFixed(1)} s\n`);
  return done;
}
