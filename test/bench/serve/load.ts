import { spawnSync } from 'node:child_process';
import { installOnce } from '../../lanes/install-once.ts';
import { npmInstall, start, stopProcess } from './stage.ts';

const connections = '64';
const autocannon = 'autocannon@9.0.0';
const isWrk = spawnSync('wrk', ['--version']).error === undefined;

/** wrk where it is on PATH, else autocannon. */
export const loadBy = isWrk ? 'wrk' : autocannon;

/** Requests as fast as they are answered, on 64 connections, until it is stopped. */
export function startLoad(url: string): { stop(): Promise<void> } {
  const command = isWrk ? (['wrk', '-t', '1'] as const) : ([process.execPath, installLoad(), '--json'] as const);
  const child = start([...command, '-c', connections, '-d', '600', url], { stdio: 'ignore' });
  return { stop: () => stopProcess(child) };
}

/** Before anything is measured: an installation would load the machine. */
export const installLoad = (): string =>
  isWrk ? 'wrk' : installOnce(`bench/${autocannon}`, 'node_modules/autocannon/autocannon.js', (folder) => [npmInstall(folder, autocannon)]);
