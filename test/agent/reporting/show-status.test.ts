import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ago, askStatus, statusText } from '../../../agent/reporting/show-status.ts';
import type { Status } from '../../../contract/status.ts';
import { shortFolder } from '../../support/short-folder.ts';

const now = Date.parse('2026-01-01T00:01:00Z');
const ready: Status = {
  state: 'ready',
  release: 7,
  commit: '0123456789abcdef0123456789abcdef01234567-dirty',
  agent: '0.1.0',
  pid: 40,
  app: 'shop',
  env: 'production',
  instance: 'i-1',
  sinceStartMs: 7_200_000,
  inStateMs: 4_200,
  phasesMs: { identity: 12, download: 900 },
  config: { GREETING: 3, SECRET: 1 },
  gunicorn: { pid: 41, workers: [42, 43] },
  restarts: 1,
  workersReplaced: 2,
  probes: [{ agoMs: 1_000, isGood: true, detail: 'status 200', latencyMs: 4 }],
  causes: [
    { cause: 'APP_EXITED', sentence: 'gunicorn ended with SIGKILL', next: 'n', count: 3, firstAt: '2026-01-01T00:00:00Z', lastAt: '2026-01-01T00:00:40Z' },
  ],
  logLinesLost: 0,
  logTail: ['its last line'],
};

t.test('a ready agent: what it serves in the first line, what went wrong before it below', async (t) => {
  t.equal(
    statusText(ready, now),
    `ready for 4.2 s: shop/production release 7, commit 0123456789ab-dirty
  20 s ago, 3 times: APP_EXITED: gunicorn ended with SIGKILL
  gunicorn  pid 41, workers 42 43
  restarts  1; workers replaced 2
  probe     good: status 200 in 4 ms, 1.0 s ago
  config    GREETING:3 SECRET:1
  boot      identity 12 ms, download 900 ms
  agent     0.1.0, pid 40, instance i-1, for 2 h
`,
  );
});

t.test('one that is not: the reason and the next step in the second line, the last words of the app at the end', async (t) => {
  const { gunicorn: _, ...rest } = ready;
  const causes = ready.causes.map((cause) => ({ ...cause, sentence: 'the same' }));
  const text = statusText({ ...rest, state: 'failed', cause: 'APP_CRASH_LOOP', sentence: 'the same', next: 'read on', causes, logLinesLost: 5 }, now);
  const lines = text.split('\n');
  t.match(lines[0], /^failed for 4\.2 s: shop\/production release 7/);
  t.equal(lines[1], '  APP_CRASH_LOOP: the same. Next: read on.');
  t.match(lines[2], /gunicorn +not running/, 'the reason is not said twice');
  t.match(text, /5 lines lost/);
  t.match(text, /last lines of the app:\n {2}\| its last line\n$/);
});

t.test('a young agent has little to say', async (t) => {
  const young: Status = { ...ready, state: 'booting', phase: 'download', config: {}, phasesMs: {}, probes: [], causes: [], instance: '', logTail: [] };
  const { release: _, commit: __, app: ___, env: ____, gunicorn: _____, ...without } = young;
  t.match(
    statusText(without, now),
    /^booting \(download\) for 4\.2 s\n {2}gunicorn {2}not running\n.*\n {2}config {4}none\n {2}boot {6}not yet\n.*not known yet/,
  );
});

t.test('times as people say them', async (t) => {
  t.same([-5, 0, 9_940, 12_000, 300_000, 7_200_000, 400_000_000].map(ago), ['0.0 s', '0.0 s', '9.9 s', '12 s', '5 min', '2 h', '5 d']);
});

/** A runtime folder whose socket answers with this; undefined never answers. */
async function agentThat(t: Test, answer: string | undefined) {
  const folder = shortFolder(t);
  mkdirSync(folder, { recursive: true });
  const server = createServer((_, response) => {
    if (answer !== undefined) response.end(answer);
  }).listen(join(folder, 'agent.sock'));
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return folder;
}

t.test('asks over the socket; one that is not there and one that does not answer are told apart', async (t) => {
  t.same(await askStatus(await agentThat(t, JSON.stringify(ready)), 5000), ready);
  await t.rejects(askStatus(shortFolder(t), 5000), { code: 'AGENT_NOT_RUNNING', message: /agent\.sock: ENOENT/ });
  await t.rejects(askStatus(await agentThat(t, 'nothing of JSON'), 5000), { code: 'AGENT_NOT_RUNNING' });
  await t.rejects(askStatus(await agentThat(t, undefined), 50), { code: 'AGENT_SILENT', message: /50 ms/ });
});
