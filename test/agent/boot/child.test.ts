import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { startBoot } from '../../../agent/boot/child.ts';
import type { Launch } from '../../../agent/boot/prepare.ts';
import { defaultLimits } from '../../../agent/limits.ts';
import type { CauseReport } from '../../../contract/causes.ts';
import type { AgentEvent } from '../../../contract/events.ts';
import { makeUserData } from '../../support/pinned.ts';

const crash = fileURLToPath(new URL('../../fixtures/boot/crash.mjs', import.meta.url));

/** Runs the boot process with these variables until it told how it ended. */
function bootWith(t: Test, userData: string, variables: Record<string, string>) {
  const folder = t.testdir({ 'user-data.json': userData });
  Object.assign(process.env, { STATE_DIRECTORY: join(folder, 'state'), RUNTIME_DIRECTORY: join(folder, 'run'), ...variables });
  t.teardown(() => {
    for (const name of ['STATE_DIRECTORY', 'RUNTIME_DIRECTORY', ...Object.keys(variables)]) delete process.env[name];
  });
  const lines: string[] = [];
  const events: AgentEvent[] = [];
  return new Promise<{ launch?: Launch; report?: CauseReport; lines: string[]; events: AgentEvent[] }>((resolve) => {
    const boot = startBoot(join(folder, 'user-data.json'), defaultLimits);
    boot.listen({
      onEvent: (event) => events.push(event),
      onLine: (line) => lines.push(line),
      onLaunch: (launch) => resolve({ launch, lines, events }),
      onFailure: (report) => resolve({ report, lines, events }),
    });
    t.teardown(() => boot.stop());
  });
}

t.test('a Failure of the boot arrives with its cause, its events before it', async (t) => {
  const { report, events } = await bootWith(t, '#!/bin/sh\ntouch /tmp/never', {});
  t.match(report, { cause: 'USER_DATA_SCRIPT' });
  t.same(events, [{ event: 'phase-started', phase: 'identity' }]);
});

t.test('F17: a crash outside every try and a kill are told with the phase; the caller lives', async (t) => {
  for (const [by, exit] of [
    ['throw', 'exit status'],
    ['SIGKILL', 'SIGKILL'],
  ] as const) {
    const NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} --import=${crash}`;
    await t.test(by, async (t) => {
      const { report, lines } = await bootWith(t, '{}', { NODE_OPTIONS, CRASH_IN: 'identity', CRASH_BY: by });
      t.match(report, { cause: 'BOOT_CRASHED', sentence: new RegExp(`${exit}.*identity`) });
      if (by === 'throw') t.match(lines.join(), /outside of every try/);
    });
  }
});

t.test('a SIGTERM that the agent did not send is told as what ended it', async (t) => {
  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.teardown(() => silent.close());
  const AWS_ENDPOINT_URL = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const variables = { AWS_ENDPOINT_URL, AWS_REGION: 'eu-west-1', AWS_ACCESS_KEY_ID: 'x', AWS_SECRET_ACCESS_KEY: 'x', CRASH_IN: 'release', CRASH_BY: 'SIGTERM' };
  const NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} --import=${crash}`;
  const { report } = await bootWith(t, JSON.stringify(makeUserData(1, '')), { ...variables, NODE_OPTIONS });
  t.match(report, { cause: 'BOOT_CRASHED', sentence: /ended with SIGTERM in release/ });
});

t.test('a stop ends it at once, and nothing is told any more', async (t) => {
  const folder = t.testdir({ 'user-data.json': '{}' });
  const told: string[] = [];
  const boot = startBoot(join(folder, 'user-data.json'), defaultLimits);
  boot.listen({ onEvent: () => {}, onLine: () => {}, onLaunch: () => told.push('launch'), onFailure: ({ cause }) => told.push(cause) });
  await boot.stop();
  t.same(told, []);
});
