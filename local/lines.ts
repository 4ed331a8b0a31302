import type { AgentEvent } from '../contract/events.ts';

const row = (name: string, text: string, ms?: number): string => {
  const line = `  ${name.padEnd(9)} ${text}`.trimEnd();
  return ms === undefined ? line : `${line.padEnd(72)} ${String(Math.round(ms)).padStart(6)} ms`;
};

/** Prints one line when `work` is done: its name, what `describe` says of the result, and the milliseconds since the call. */
export async function step<T>(name: string, work: Promise<T>, describe: (result: T) => string): Promise<T> {
  const startedAt = performance.now();
  const result = await work;
  console.log(row(name, describe(result), performance.now() - startedAt));
  return result;
}

/** The line that an agent's event is to someone who watches a boot; undefined for what is of no use there. */
export function eventLine(event: AgentEvent): string | undefined {
  switch (event.event) {
    case 'phase-ended':
      return row(event.phase, event.attempts > 1 ? `after ${event.attempts} attempts` : '', event.ms);
    case 'phase-retried':
      return row(event.phase, `${event.cause}: ${event.sentence}; again in ${event.retryInMs} ms`);
    case 'booted':
      return row('booted', `release ${event.release}, commit ${event.commit.replace(/^(\w{12})\w+/, '$1')}`, event.ms);
    case 'app-exited':
      return row('app', `ended with ${event.exit}`);
    case 'state':
      return event.to === 'draining' || event.to === 'stopped' ? row(event.to, '') : row(event.to, 'since the agent started', event.sinceStartMs);
    default:
      return undefined;
  }
}

type Site = {
  readonly url: string;
  readonly healthUrl: string;
  readonly environmentFile: string;
  /** A config name that is no secret, if the app has one. */
  readonly plainName: string | undefined;
  /** Set where a build must name it, because the app asks for another. */
  readonly python: string | undefined;
};

/** What can be done whenever an instance is there. */
export const again = 'Enter: a new instance on the newest release. Ctrl-C: stop everything.';

/** What to open and what to try, once an instance is ready. */
export function suggestions({ url, healthUrl, environmentFile, plainName, python }: Site): string {
  const build = `npx pinion build${python === undefined ? '' : ` --python ${python}`}`;
  const set = plainName === undefined ? [] : [`  printf %s Moin | npx pinion config set ${plainName}`];
  return [
    '',
    `Open ${url} (the app) and ${healthUrl} (its readiness).`,
    '',
    'Try in a second terminal, in this folder:',
    `  . ${environmentFile}`,
    ...set,
    '  npx pinion-agent status       # what the agent says of itself; try kill -9 on a worker, or on gunicorn, and ask again',
    '  npx pinion release            # the next release; press Enter here to boot it',
    `  ${build} && npx pinion publish && npx pinion release   # after a change to the app`,
    '  npx pinion explain UNPINNED   # what a cause means, and what to do',
    '',
    again,
    '',
  ].join('\n');
}
