// `npm run bench:status`: `pinion status` over a fleet of 500 that has no processes; and what the CLI takes for its help.
import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { deploy } from '../../pipeline/rollout/deploy.ts';
import { makeApp } from '../support/pipeline-app.ts';
import { openRolloutLab } from '../support/rollout.ts';

const main = fileURLToPath(new URL('../../pipeline/main.ts', import.meta.url));
const undo: (() => unknown)[] = [];
const t = { teardown: (work: () => unknown) => void undo.push(work) };
const instances = Number(process.argv[2] ?? 500);
const rounds = 7;
const median = (values: readonly number[]) => Math.round(values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN);

const lab = await openRolloutLab(t, { instances });
const { appDir } = makeApp(t, { settings: 'config = ["GREETING"]\n' });
await lab.release();
await deploy({ ...lab.context, pace: { ...lab.context.pace, pollMs: 1_000 } }, { release: undefined, despite: [] });
// The lab answers from this process, so the CLI runs beside it.
const timed = (args: readonly string[]) =>
  new Promise<{ ms: number; kb: number; lines: number }>((resolve) => {
    const begunMs = performance.now();
    const child = spawn('/usr/bin/time', ['-f', 'peak %M', process.execPath, main, ...args], { env: { ...process.env, ...lab.environment } });
    let [out, err] = ['', ''];
    child.stdout.on('data', (text) => {
      out += text;
    });
    child.stderr.on('data', (text) => {
      err += text;
    });
    child.on('close', () => resolve({ ms: performance.now() - begunMs, kb: Number(/peak (\d+)/.exec(err)?.[1]), lines: out.split('\n').length }));
  });
await timed(['--app-dir', appDir, '--env', lab.place.env, 'status']);
const before = lab.gateway.calls.length;
const status = [];
for (let round = 0; round < rounds; round++) status.push(await timed(['--app-dir', appDir, '--env', lab.place.env, 'status']));
const calls = (lab.gateway.calls.length - before) / rounds;
const help = [];
for (let round = 0; round < rounds; round++) {
  const begunMs = performance.now();
  spawnSync(process.execPath, [main, '--help']);
  help.push(performance.now() - begunMs);
}
console.log(
  `status of ${instances} instances: ${median(status.map(({ ms }) => ms))} ms, ${median(status.map(({ kb }) => kb / 1024))} MiB, ${status[0]?.lines} lines, ${calls} calls of the gateway's own`,
);
console.log(`pinion --help: ${median(help)} ms`);
for (const work of undo.reverse()) await work();
process.exit();
