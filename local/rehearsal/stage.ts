import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Infrastructure } from '../../contract/infrastructure.ts';
import { publish } from '../../pipeline/artifact/publish.ts';
import type { Place } from '../../pipeline/config/parameters.ts';
import { setConfig } from '../../pipeline/config/parameters.ts';
import { release } from '../../pipeline/release/release.ts';
import type { RolloutEvent } from '../../pipeline/rollout/events.ts';
import type { Pace } from '../../pipeline/rollout/pace.ts';
import { readSettings, type Settings } from '../../pipeline/settings.ts';
import { keys, region } from '../cloud.ts';
import type { ControlPlane } from '../control-plane.ts';
import { buildHere, setLocalConfig } from '../release.ts';
import type { Load } from './loading.ts';
import { smoke } from './margins.ts';
import { copyVariant, smokeQuery, type Variant } from './variants.ts';

const program = fileURLToPath(new URL('../../pipeline/main.ts', import.meta.url));

/** What the stages of one rehearsal share. */
export type Rehearsal = {
  readonly app: Settings;
  readonly appDir: string;
  /** For everything it keeps; gone with it. */
  readonly folder: string;
  readonly interpreter: string;
  readonly instances: number;
  readonly rate: number;
  readonly signal: AbortSignal;
  /** Work for its end, the last one first. */
  readonly undo: (work: () => Promise<unknown>) => void;
};

/** What the load must be answered by 200, whatever app it is. */
export const loadPath = ({ smoke, healthPath }: Settings): string => smoke.paths.find(({ status }) => status === 200)?.path ?? healthPath;

/** The app's own smoke within the rehearsal's budget, and one path more. */
export const smokeOf = ({ smoke: { paths }, healthPath }: Settings): object => ({
  ...smoke,
  paths: [...paths.map(({ path, status, text }) => ({ path, status, ...(text !== undefined && { text }) })), `${healthPath}?${smokeQuery}`],
});

/** One run of the CLI as a person or a build starts it. */
export type Ran = {
  readonly exit: number | string;
  readonly events: readonly RolloutEvent[];
  readonly result: Readonly<Record<string, unknown>>;
  readonly seconds: number;
};
export type Running = {
  readonly ended: Promise<Ran>;
  until(fits: (event: RolloutEvent) => boolean): Promise<RolloutEvent>;
  kill(signal: NodeJS.Signals): void;
};

/** What the cases of a rehearsal act on. */
export type Stage = {
  readonly place: Place;
  readonly app: Settings;
  readonly infrastructure: Infrastructure;
  readonly plane: ControlPlane;
  readonly load: Load;
  readonly instances: number;
  /** The app with the smoke of the rehearsal, where the CLI reads it. */
  readonly copyDir: string;
  /** Makes a release of a variant of the app, with a config value of its own where the app has one, and gives its number. */
  release(variant: Variant): Promise<number>;
  /** Runs the CLI for this environment with `--json`. */
  pinion(...args: readonly string[]): Promise<Ran>;
  start(...args: readonly string[]): Running;
  /** From the death of an instance until the balancer has taken it out. */
  readonly noticeMs: number;
  untilRunning(instances: number): Promise<void>;
  /** Resolves when exactly so many instances run and each is healthy at the balancer. */
  untilServing(instances: number): Promise<void>;
};

type StageOptions = Pick<Stage, 'place' | 'infrastructure' | 'plane' | 'load' | 'instances' | 'noticeMs'> & {
  readonly appDir: string;
  readonly folder: string;
  readonly pace: Partial<Pace>;
  /** Laid over `[tool.pinion.smoke]` of the app. */
  readonly smoke: object;
  readonly signal: AbortSignal;
};

export async function openStage(options: StageOptions): Promise<Stage> {
  const { place, plane, appDir, folder, pace, signal } = options;
  const follow = { signal, say: () => {} };
  const app = await readSettings(appDir);
  const copies = new Map<Variant, Promise<string>>();
  const built = (variant: Variant) => {
    const made =
      copies.get(variant) ??
      copyVariant(appDir, join(folder, variant), variant, options.smoke).then(async (copy) => {
        await buildHere(copy, follow);
        await publish(copy, place.env, plane.cloud.clients, follow);
        return copy;
      });
    copies.set(variant, made);
    return made;
  };
  // The CLI reads the settings there.
  await built('good');
  await setLocalConfig(plane.cloud.clients, place, app, signal);
  let releases = 0;

  const start = (...args: readonly string[]): Running => {
    const startedAtMs = performance.now();
    const child = spawn(process.execPath, [program, '--app-dir', join(folder, 'good'), '--env', place.env, '--json', ...args], {
      env: cliEnvironment(plane.cloud.endpoint, pace),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const events: RolloutEvent[] = [];
    let result: Readonly<Record<string, unknown>> = {};
    const watchers = new Set<() => void>();
    createInterface({ input: child.stdout }).on('line', (line) => {
      const said = JSON.parse(line);
      if ('event' in said) events.push(said);
      else result = said;
      for (const look of watchers) look();
    });
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
      errors += text;
    });
    const ended = once(child, 'close').then(([code, end]): Ran => {
      for (const look of watchers) look();
      if (errors !== '') result = { ...result, errors };
      return { exit: code ?? end, events, result, seconds: (performance.now() - startedAtMs) / 1_000 };
    });
    return {
      ended,
      kill: (sent) => void child.kill(sent),
      until: (fits) =>
        new Promise((resolve, reject) => {
          const look = () => {
            const found = events.find(fits);
            if (found === undefined && child.exitCode === null && child.signalCode === null) return;
            watchers.delete(look);
            if (found === undefined)
              reject(new Error(`pinion ${args.join(' ')} ended with ${child.exitCode ?? child.signalCode}: ${JSON.stringify(result)}${errors}`));
            else resolve(found);
          };
          watchers.add(look);
          look();
        }),
    };
  };

  return {
    ...options,
    app,
    copyDir: join(folder, 'good'),
    async release(variant) {
      const copy = await built(variant);
      const plain = Object.keys(app.localConfig)[0];
      if (plain !== undefined) {
        const value = { name: plain, bytes: Buffer.from(`rehearsal ${++releases}`), type: 'String' } as const;
        await setConfig(plane.cloud.clients.ssm, place, app.config, value, signal);
      }
      return (await release(copy, place.env, plane.cloud.clients, { ...follow, note: `rehearsal: ${variant}` })).release;
    },
    start,
    untilRunning: (wanted) => until(async () => plane.fleet.running().length === wanted, signal),
    untilServing: (wanted) =>
      until(async () => {
        const healthy = (await plane.loadBalancer.targetGroup.health()).filter(({ state }) => state === 'healthy');
        return healthy.length === wanted && plane.fleet.running().length === wanted;
      }, signal),
    pinion: (...args) => start(...args).ended,
  };
}

const lookMs = 100;
const patienceMs = 120_000;

async function until(holds: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
  const late = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
  while (!(await holds())) await pause(lookMs, undefined, { signal: late });
}

/** What a build would have: where AWS is, who asks, and the rehearsal's pace. */
const cliEnvironment = (endpoint: string, pace: Partial<Pace>): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(['PATH', 'HOME', 'LANG', 'NODE_COMPILE_CACHE'].flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]))),
  AWS_ENDPOINT_URL: endpoint,
  AWS_REGION: region,
  AWS_ACCESS_KEY_ID: keys.accessKeyId,
  AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
  PINION_PACE: JSON.stringify(pace),
});
