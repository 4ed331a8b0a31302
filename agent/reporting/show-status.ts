import { join } from 'node:path';
import { Failure } from '../../contract/causes.ts';
import type { PastCause, Status } from '../../contract/status.ts';

// Not by import: see probe.ts.
const { request } = process.getBuiltinModule('node:http');

/** The status of the agent whose runtime folder this is, over its socket. Throws AGENT_NOT_RUNNING, AGENT_SILENT. */
export function askStatus(runtimeFolder: string, timeoutMs: number): Promise<Status> {
  const socketPath = join(runtimeFolder, 'agent.sock');
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const failed = (error: NodeJS.ErrnoException) =>
      reject(
        signal.aborted
          ? new Failure('AGENT_SILENT', { socket: socketPath, timeoutMs }, { cause: error })
          : new Failure('AGENT_NOT_RUNNING', { socket: socketPath, detail: error.code ?? error.message }, { cause: error }),
      );
    const call = request({ socketPath, path: '/status', agent: false, signal }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => {
        try {
          resolve(JSON.parse(Buffer.concat(chunks).toString()));
        } catch (thrown) {
          failed(thrown as Error);
        }
      });
      response.on('error', failed);
    });
    call.on('error', failed);
    call.end();
  });
}

/** A status for people: one line that says what is, one for each thing that went wrong, then the details. `now` in milliseconds since 1970. */
export function statusText(status: Status, now: number): string {
  const { state, app, env, release, commit, gunicorn, probes, causes } = status;
  const what = release === undefined ? '' : `: ${app}/${env} release ${release}, commit ${commit?.replace(/^(\w{12})\w+/, '$1')}`;
  const why = status.cause === undefined ? '' : `\n  ${status.cause}: ${status.sentence}. Next: ${status.next}.`;
  const phase = status.phase === undefined ? '' : ` (${status.phase})`;
  const past = causes.filter(({ sentence }) => sentence !== status.sentence);
  const probe = probes[0];
  const rows: readonly (readonly [string, string])[] = [
    ['gunicorn', gunicorn === undefined ? 'not running' : `pid ${gunicorn.pid}, workers ${gunicorn.workers.join(' ') || 'not seen yet'}`],
    ['restarts', `${status.restarts}; workers replaced ${status.workersReplaced}`],
    ...(probe === undefined || gunicorn === undefined
      ? []
      : [['probe', `${probe.isGood ? 'good' : 'bad'}: ${probe.detail} in ${probe.latencyMs} ms, ${ago(probe.agoMs)} ago`] as const]),
    ['config', versions(status.config)],
    ['boot', durations(status.phasesMs)],
    ['agent', `${status.agent}, pid ${status.pid}, instance ${status.instance || 'not known yet'}, for ${ago(status.sinceStartMs)}`],
    ...(status.logLinesLost === 0 ? [] : [['log', `${status.logLinesLost} lines lost: nothing took them`] as const]),
  ];
  return [
    `${state}${phase} for ${ago(status.inStateMs)}${what}${why}`,
    ...past.map((cause) => pastLine(cause, now)),
    ...rows.map(([name, text]) => `  ${name.padEnd(9)} ${text}`),
    ...(state === 'ready' || status.logTail.length === 0
      ? []
      : ['  last lines of the app:', ...status.logTail.slice(-10).map((line) => `  | ${line.slice(0, 200)}`)]),
    '',
  ].join('\n');
}

const pastLine = ({ cause, sentence, count, lastAt }: PastCause, now: number): string =>
  `  ${ago(now - Date.parse(lastAt))} ago${count > 1 ? `, ${count} times` : ''}: ${cause}: ${sentence}`;

const versions = (config: Status['config']): string =>
  Object.entries(config)
    .map(([name, version]) => `${name}:${version}`)
    .join(' ') || 'none';

const durations = (phasesMs: Status['phasesMs']): string =>
  Object.entries(phasesMs)
    .map(([phase, ms]) => `${phase} ${ms} ms`)
    .join(', ') || 'not yet';

/** Milliseconds as people say them: `3.2 s`, `12 s`, `5 min`, `2 h`, `3 d`. */
export function ago(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 6000) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}
