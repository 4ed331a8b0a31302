// `npm run rehearse`: rolling deploys, their failures and their ways back on one machine: real agents, gunicorn and balancer, under constant load.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { asFailure, causeLine } from '../../contract/causes.ts';
import { readSettings } from '../../pipeline/settings.ts';
import { shellEnvironment } from '../cloud.ts';
import { haproxyProblem } from '../load-balancer/load-balancer.ts';
import { buildHere } from '../release.ts';
import { terraformProblem } from '../terraform.ts';
import { type Case, cases } from './cases.ts';
import { openEnvironmentStage } from './environment-stage.ts';
import { agentLimits, pace, smoke, timers, timersSeconds, timesFor } from './margins.ts';
import type { Rehearsal, Stage } from './stage.ts';
import { terraformCases } from './terraform-cases.ts';
import { openTerraformStage, terraformLimits, terraformPace, terraformTimers, terraformTimes } from './terraform-stage.ts';

const usage = `npm run rehearse [-- OPTIONS]: rolling deploys on this machine, their failures and their ways back, under constant load.

  --terraform     on an environment that terraform/environment made, and changes: ${terraformCases.length} cases in place of ${cases.length}
  --case K        only this case, by its number; may be given more than once. The first deploy always comes first
  --instances N   instances of the group (default 4, with --terraform 2)
  --rate R        requests a second (default 120)
  --app DIR       an app of your own (default flask-app)
  --keep          leave everything running at the end, until Ctrl-C

Exit status: 0 every case holds and no request failed; 1 otherwise; 2 usage.
`;

const root = fileURLToPath(new URL('../..', import.meta.url));
const stopping = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stopping.abort());
const undo: (() => Promise<unknown>)[] = [];

try {
  await rehearse();
} catch (thrown) {
  if (!stopping.signal.aborted) console.error(causeLine(asFailure(thrown).report));
  process.exitCode ||= 1;
}
for (const each of undo.reverse()) await each().catch((thrown) => console.error(String(thrown)));
process.exit();

async function rehearse(): Promise<void> {
  const options = readOptions();
  if (options === undefined) return;
  const problem = haproxyProblem() ?? (options.isTerraform ? terraformProblem() : undefined);
  if (problem !== undefined) {
    console.error(`pinion: the rehearsal cannot begin: ${problem}`);
    process.exitCode = 1;
    return;
  }
  const folder = await mkdtemp(join(tmpdir(), 'pinion-'));
  undo.push(() => rm(folder, { recursive: true, force: true }));
  const app = await readSettings(options.appDir);
  const { interpreter } = await buildHere(options.appDir, { signal: stopping.signal, say: () => {} });
  const { instances, rate, wanted, isTerraform } = options;
  console.log(`rehearsal of ${app.app}: ${instances} instances, ${rate} requests a second, half on kept connections, none sent twice`);
  const scaled = isTerraform
    ? { times: terraformTimes, pace: terraformPace, smoke, timers: terraformTimers, agentLimits: terraformLimits }
    : { times: timesFor(app), pace, smoke, timers, agentLimits };
  console.log(`scaled: ${JSON.stringify(scaled)}`);
  const shared: Rehearsal = {
    ...{ app, appDir: options.appDir, folder, interpreter, instances, rate, signal: stopping.signal },
    undo: (work) => void undo.push(work),
  };
  const rehearsed = async <S extends Stage>(stage: S, cases: readonly Case<S>[]) => {
    const sums = await play(stage, cases, wanted);
    if (options.keep) await keep(stage, scaled.pace);
    return sums;
  };
  if (isTerraform) console.log('applying terraform/environment, which takes two minutes …');
  const [held, requests, failed] = isTerraform
    ? await rehearsed(await openTerraformStage(shared), terraformCases)
    : await rehearsed(await openEnvironmentStage(shared), cases);
  console.log(`rehearsal: ${held} cases hold, ${requests} requests, ${failed} failed`);
  if (held < wanted.size || failed > 0) process.exitCode = 1;
}

async function play<S extends Stage>(
  stage: S,
  cases: readonly Case<S>[],
  wanted: ReadonlySet<number>,
): Promise<readonly [held: number, requests: number, failed: number]> {
  const sums = { held: 0, requests: 0, failed: 0 };
  const row = (...cells: readonly (string | number)[]) => console.log(cells.map((cell, at) => String(cell).padEnd([3, 44, 9, 7, 8, 8][at] ?? 0)).join(' '));
  row('#', 'case', 'requests', 'failed', 'seconds', 'timers', 'outcome');
  for (const [at, { name, run }] of cases.entries()) {
    if (!wanted.has(at + 1) && at > 0) continue;
    stopping.signal.throwIfAborted();
    // Before the first deploy nothing is there that could answer.
    if (at === 1) await stage.load.more(10);
    const counted = stage.load.count();
    const bootsBefore = stage.plane.bootsMs.length;
    try {
      const { outcome, seconds, replaced, excused } = await run(stage);
      const needed = replaced === undefined ? '-' : timersSeconds(replaced, stage.infrastructure.times, stage.plane.bootsMs.slice(bootsBefore)).toFixed(1);
      const { requests, failed } = counted();
      const counts = at > 0;
      const blamed = counts ? failed.length - (excused?.failed ?? 0) : 0;
      row(at + 1, name, requests, blamed, seconds.toFixed(1), needed, `${outcome}${excused === undefined ? '' : `; apart: ${excused.failed} ${excused.why}`}`);
      for (const each of counts ? failed.slice(0, 5) : []) console.log(`      ${JSON.stringify(each)}`);
      if (wanted.has(at + 1)) sums.held++;
      sums.requests += requests;
      sums.failed += blamed;
    } catch (thrown) {
      stopping.signal.throwIfAborted();
      row(at + 1, name, counted().requests, counted().failed.length, '-', '-', `DOES NOT HOLD: ${(thrown as Error).message}`);
      sums.failed += at > 0 ? counted().failed.length : 0;
      sums.requests += counted().requests;
      if (at === 0) break;
    }
  }
  return [sums.held, sums.requests, sums.failed];
}

async function keep({ place, copyDir: appDir, plane: { cloud, loadBalancer } }: Stage, pace: object): Promise<void> {
  const file = join(root, '.pinion', 'rehearsal-env');
  const environment = shellEnvironment({ endpoint: cloud.endpoint, env: place.env, appDir, runtimeFolder: '/run/pinion' });
  await writeFile(file, `${environment}export PINION_PACE='${JSON.stringify(pace)}'\n`, { mode: 0o600 });
  undo.push(() => rm(file, { force: true }));
  console.log(`${loadBalancer.url} is the load balancer, and goes on. In a second terminal: . .pinion/rehearsal-env; npx pinion status. Ctrl-C ends it`);
  await new Promise((ended) => stopping.signal.addEventListener('abort', ended, { once: true }));
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        ...{ case: { type: 'string', multiple: true }, instances: { type: 'string' }, rate: { type: 'string' } },
        ...{ app: { type: 'string' }, keep: { type: 'boolean' }, terraform: { type: 'boolean' }, help: { type: 'boolean' } },
      },
    });
    if (values.help) {
      process.stdout.write(usage);
      return undefined;
    }
    const number = (name: string, given: string | undefined, fallback: number, least: number, most: number) => {
      const value = Number(given ?? fallback);
      if (!Number.isInteger(value) || value < least || value > most) throw new Error(`--${name} takes a whole number from ${least} to ${most}`);
      return value;
    };
    const isTerraform = values.terraform === true;
    const all = (isTerraform ? terraformCases : cases).map((_, at) => at + 1);
    return {
      wanted: new Set(values.case?.map((given) => number('case', given, 0, 1, all.length)) ?? all),
      instances: number('instances', values.instances, isTerraform ? 2 : 4, 1, 20),
      rate: number('rate', values.rate, 120, 1, 2_000),
      appDir: values.app === undefined ? join(root, 'flask-app') : resolve(process.env.INIT_CWD ?? '.', values.app),
      keep: values.keep === true,
      isTerraform,
    };
  } catch (thrown) {
    process.stderr.write(`${(thrown as Error).message}\n${usage}`);
    process.exitCode = 2;
    return undefined;
  }
}
