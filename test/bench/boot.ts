/**
 * From nothing to the first 200: the agent (start → ready) beside its floor, the shortest shell script that fetches, hashes, unpacks and serves
 * the same artifact. One interleaved run on a journaled ext4 of its own; prints both medians, the boot process's peak memory and the calls of a
 * boot, and last `ratio X.XX`.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { artifactPath } from '../../pipeline/artifact/built.ts';
import { agentProcess, withoutImds } from '../support/agent.ts';
import { buildCopy, hostPython, startCloud } from '../support/cloud.ts';
import { freePort } from '../support/free-port.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '7' } } });
const rounds = Number(values.rounds);
const standardApp = fileURLToPath(new URL('standard-app', import.meta.url));
const work = mkdtempSync(join(tmpdir(), 'pinion-bench-'));
const cleanUp: (() => void | Promise<void>)[] = [() => rmSync(work, { recursive: true, force: true })];

const disk = journaledDisk();
const python = hostPython();
const built = await buildCopy(work, standardApp);
console.log(`standard artifact: ${built.files} files, ${mebibytes(built.unpackedBytes)} unpacked, ${mebibytes(built.sizeBytes)} as tar.zst`);

const cloud = await startCloud({ teardown: (work) => cleanUp.unshift(async () => void (await work())) });
const origin = await staticOrigin(artifactPath(built.appDir));
const userData = await cloud.releaseBuilt(built.appDir);

type Sample = { readonly ms: number; readonly peakKb?: number };
const samples: { floor: Sample[]; agent: Sample[] } = { floor: [], agent: [] };
const contenders = { floor: floorRound, agent: agentRound };
for (let round = 0; round <= rounds; round++) {
  const order = round % 2 === 0 ? (['floor', 'agent'] as const) : (['agent', 'floor'] as const);
  for (const name of order) {
    const sample = await contenders[name]();
    // The first round warms the page cache and the compile cache.
    if (round > 0) samples[name].push(sample);
    console.log(`${round === 0 ? 'uncounted' : `round ${round}`} ${name.padEnd(5)} ${Math.round(sample.ms)} ms`);
  }
}
const median = (numbers: readonly number[]) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
const floorMs = median(samples.floor.map(({ ms }) => ms));
const agentMs = median(samples.agent.map(({ ms }) => ms));
console.log(`floor median ${Math.round(floorMs)} ms, agent median ${Math.round(agentMs)} ms`);
console.log(`boot process peak ${Math.round(Math.max(...samples.agent.map(({ peakKb }) => peakKb ?? 0)) / 1024)} MiB`);
for (const work of cleanUp) await work();
console.log(`ratio ${(agentMs / floorMs).toFixed(2)}`);
process.exit(0);

async function floorRound(): Promise<Sample> {
  const folder = mkdtempSync(join(disk, 'floor-'));
  const port = await freePort();
  const script = `
    set -e
    curl -s ${origin} | tee artifact | sha256sum > sum
    [ "$(cut -c1-64 sum)" = ${built.sha256} ]
    zstd -dcq artifact | tar -x
    cd app
    export PYTHONPATH=../lib/python${python}/site-packages PYTHONDONTWRITEBYTECODE=1
    exec ${built.interpreter} -m gunicorn --no-control-socket --worker-tmp-dir /dev/shm -w 2 -b 127.0.0.1:${port} standard:app`;
  const startedAt = performance.now();
  const child = spawn('/bin/bash', ['-c', script], { cwd: folder, detached: true, stdio: 'ignore' });
  await until200(`http://127.0.0.1:${port}/healthz`);
  const ms = performance.now() - startedAt;
  await end(child);
  rmSync(folder, { recursive: true });
  return { ms };
}

async function agentRound(): Promise<Sample> {
  const folder = mkdtempSync(join(disk, 'agent-'));
  const healthPort = await freePort();
  const startedAt = performance.now();
  const agent = agentProcess({
    folder,
    userData,
    environment: {
      ...withoutImds(cloud.endpoint),
      AWS_ENDPOINT_URL_S3: new URL(origin).origin,
      PINION_PYTHON: built.interpreter,
      PINION_TRAFFIC_PORT: String(await freePort()),
      PINION_HEALTH_PORT: String(healthPort),
    },
  });
  let peakKb = 0;
  const sampling = setInterval(() => {
    for (const pid of childrenOf(agent.pid)) peakKb = Math.max(peakKb, peakOf(pid));
  }, 20);
  // Asked once it says so: asking all the time would take from the boot what it measures.
  await agent.untilState('ready');
  await until200(`http://127.0.0.1:${healthPort}/readyz`);
  const ms = performance.now() - startedAt;
  clearInterval(sampling);
  await agent.stop();
  rmSync(folder, { recursive: true });
  return { ms, peakKb };
}

async function until200(url: string): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (performance.now() < deadline) {
    const status = await fetch(url).then(
      async (response) => {
        await response.arrayBuffer();
        return response.status;
      },
      () => 0,
    );
    if (status === 200) return;
    await wait(5);
  }
  throw new Error(`${url} did not answer 200 in 60 s`);
}

async function end(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit');
  process.kill(-(child.pid as number), 'SIGKILL');
  await exit;
}

/** VmHWM in KB: the most that a process ever held (proc_pid_status(5)). */
function peakOf(pid: number): number {
  try {
    return /\/boot\/main/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))
      ? Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)
      : 0;
  } catch {
    return 0;
  }
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** A server of one file from memory, in a process of its own, as fast as the loopback: what is compared is the client. */
async function staticOrigin(file: string): Promise<string> {
  const program = `
    const body = require('node:fs').readFileSync(process.argv[1]);
    const server = require('node:http').createServer((_, response) => response.writeHead(200, { 'content-length': body.length, etag: '"standard"' }).end(body));
    server.listen(0, '127.0.0.1', () => console.log('http://127.0.0.1:' + server.address().port + '/'));`;
  const child = spawn(process.execPath, ['--eval', program, file], { stdio: ['ignore', 'pipe', 'inherit'] });
  cleanUp.unshift(() => void child.kill('SIGKILL'));
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  return line;
}

/** An ext4 with a journal in a loop-mounted file: one without makes file creation 5 to 10 times slower after deletions. Without root: the temporary folder. */
function journaledDisk(): string {
  const mounted = join(work, 'disk');
  mkdirSync(mounted);
  try {
    execFileSync('truncate', ['-s', '3G', join(work, 'disk.img')]);
    execFileSync('mkfs.ext4', ['-q', '-F', join(work, 'disk.img')]);
    execFileSync('mount', ['-o', 'loop', join(work, 'disk.img'), mounted], { stdio: 'ignore' });
    cleanUp.unshift(() => void execFileSync('umount', [mounted]));
  } catch {
    console.log('no loop mount here (root needed): measured on the temporary folder instead');
  }
  return mounted;
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`;
}
