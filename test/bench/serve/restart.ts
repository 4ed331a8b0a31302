import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseEnvironmentFile } from '../../../agent/app/environment.ts';
import { environmentName, gunicornConfigName } from '../../../agent/app/gunicorn.ts';
import { childrenOf } from '../../../agent/app/process-group.ts';
import { installOnce } from '../../lanes/install-once.ts';
import { freePort } from '../../support/free-port.ts';
import { below, type Figure, median } from './figures.ts';
import { groupOf } from './proc.ts';
import { type Agent, npmInstall, type Stage, start, stopProcess, until200 } from './stage.ts';

const supervisor = 'supervisor==4.3.0';
const pm2 = 'pm2@7.0.4';
/** The agent forgets a crash after this long of ready; every kill here is to be a first one, with the restart wait of a host. */
const stableMs = 1_000;
/** Longer than that, and than the second after which supervisord (startsecs) and pm2 (min_uptime) take a start for one that lasted. */
const settleMs = 1_500;

type Contender = { readonly name: string; readonly port: number; readonly pid: number; readonly untilReady: () => Promise<unknown>; readonly ms: number[] };

/** SIGKILL to the whole group of gunicorn, until the first 200 of another master: the agent beside supervisord and pm2, same tree, same gunicorn settings. */
export async function restart(stage: Stage, rounds: number): Promise<Figure[]> {
  const python = installOnce(`bench/${supervisor}`, 'bin/supervisord', (folder) => [
    ['python3', '-m', 'venv', folder],
    [join(folder, 'bin', 'pip'), 'install', '--quiet', '--disable-pip-version-check', supervisor],
  ]);
  const runtime = installOnce(`bench/${pm2}`, 'node_modules/pm2/bin/pm2-runtime', (folder) => [npmInstall(folder, pm2)]);
  const agent = await stage.launch({ limits: { stableMs } });
  const contenders = [
    { name: 'pinion', port: agent.trafficPort, pid: agent.pid, untilReady: () => until200(agent.healthPort, '/readyz'), ms: [] },
    await beside(stage, agent, 'supervisord', (app, folder) => [python, '-c', supervisordSettings(app, folder)]),
    await beside(stage, agent, 'pm2', (app, folder) => [process.execPath, runtime, 'start', pm2Settings(app, folder)]),
  ];
  for (let round = 0; round <= rounds; round++) {
    for (const at of contenders.keys()) await measure(contenders[(at + round) % contenders.length] as Contender, round);
    const last = contenders.map(({ name, ms }) => `${name} ${ms.at(-1)?.toFixed(0) ?? '-'} ms`).join(', ');
    console.log(`  ${round === 0 ? 'uncounted' : `round ${round}: ${last}`}`);
  }
  await agent.stop();
  for (const { name, ms } of contenders) {
    console.log(`  ${name.padEnd(11)} median ${median(ms).toFixed(0)} ms, least ${Math.min(...ms).toFixed(0)} ms, most ${Math.max(...ms).toFixed(0)} ms`);
  }
  const [ours, ...others] = contenders.map(({ ms }) => median(ms));
  return [below('restart-median', (ours as number) / Math.min(...others), 'x the better of supervisord and pm2', 1)];
}

async function measure({ name, port, pid, untilReady, ms }: Contender, round: number): Promise<void> {
  await untilReady();
  await wait(settleMs);
  const master = masterOf(pid, name);
  process.kill(-master, 'SIGKILL');
  const tookMs = await until200(port, '/healthz');
  if (masterOf(pid, name) === master) throw new Error(`${name} answered by the master that was killed`);
  // The first round warms what there is to warm.
  if (round > 0) ms.push(tookMs);
}

/** gunicorn's master, which leads a group of its own under each of the three. */
function masterOf(pid: number, name: string): number {
  const leaders = childrenOf(pid).filter((child) => groupOf(child) === child);
  if (leaders.length !== 1) throw new Error(`${name} (pid ${pid}) has ${leaders.length} children that lead a group`);
  return leaders[0] as number;
}

type App = { readonly command: readonly [string, ...string[]]; readonly cwd: string };
type CommandOf = (app: App, folder: string) => readonly [string, ...string[]];

/** Another supervisor on the agent's own release tree, on a port of its own. */
async function beside(stage: Stage, agent: Agent, name: string, commandOf: CommandOf): Promise<Contender> {
  const folder = join(stage.work, name);
  mkdirSync(folder);
  const port = await freePort();
  const settings = join(folder, gunicornConfigName);
  const ours = readFileSync(join(agent.folder, 'run', gunicornConfigName), 'utf8');
  writeFileSync(settings, ours.replace(/^bind = .*/m, `bind = "127.0.0.1:${port}"`));
  const tree = realpathSync(join(agent.folder, 'state', 'current'));
  const env = Object.fromEntries(parseEnvironmentFile(readFileSync(join(agent.folder, 'run', environmentName), 'utf8')));
  const command = commandOf({ command: [join(tree, 'bin', 'python'), '-m', 'gunicorn', '--config', settings], cwd: join(tree, 'app') }, folder);
  const child: ChildProcess = start(command, {
    cwd: folder,
    stdio: 'ignore',
    // pm2 asks the registry for a newer version otherwise.
    env: { PATH: process.env.PATH, HOME: folder, PM2_HOME: folder, PM2_DISABLE_VERSION_CHECK: 'true', ...env },
  });
  stage.undo(() => stopProcess(child));
  const untilReady = () => until200(port, '/healthz', child);
  await untilReady();
  return { name, port, pid: child.pid as number, untilReady, ms: [] };
}

function supervisordSettings({ command, cwd }: App, folder: string): string {
  const file = join(folder, 'supervisord.conf');
  const settings = [
    '[supervisord]',
    'nodaemon=true',
    `childlogdir=${folder}`,
    '[program:app]',
    `command=${command.join(' ')}`,
    `directory=${cwd}`,
    'autorestart=true',
  ];
  writeFileSync(file, `${settings.join('\n')}\n`);
  return file;
}

function pm2Settings({ command: [script, ...args], cwd }: App, folder: string): string {
  const file = join(folder, 'ecosystem.config.json');
  writeFileSync(file, JSON.stringify({ apps: [{ name: 'app', script, args, cwd, interpreter: 'none', autorestart: true }] }));
  return file;
}
