import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createNotify } from '../../../agent/reporting/notify.ts';
import { startNotifySocket } from '../../support/notify-socket.ts';
import { useEnvironment } from '../../support/pinned.ts';
import { shortFolder } from '../../support/short-folder.ts';
import { needsTool } from '../../support/tool.ts';

const needsNotify = (t: Test) => needsTool(t, 'systemd-notify', 'apt-get install systemd');
const environment = (socket: string, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({ PATH: process.env.PATH, NOTIFY_SOCKET: socket, ...more });

/** A folder for PATH with a tool of the test's own, and what it wrote down. */
function ownTool(t: Test, script: string) {
  const folder = shortFolder(t);
  const [tool, notes] = [join(folder, 'systemd-notify'), join(folder, 'notes')];
  writeFileSync(tool, `#!/bin/sh\nnotes=${notes}\n${script}\n`);
  chmodSync(tool, 0o755);
  writeFileSync(notes, '');
  const path = `${folder}:${process.env.PATH}`;
  useEnvironment(t, { PATH: path });
  return { path, notes: () => readFileSync(notes, 'utf8').trimEnd().split('\n') };
}

for (const [form, address] of [
  ['a path', (t: Test) => join(shortFolder(t), 'notify')],
  ['an abstract name', () => `@pinion-test-${randomUUID()}`],
] as const) {
  t.test(`messages come one by one, in order; of several that wait only the last status does: ${form}`, async (t) => {
    if (!needsNotify(t)) return;
    const socket = address(t);
    const peer = await startNotifySocket(t, socket);
    const notify = createNotify(environment(socket), (detail) => t.fail(detail));
    notify.extend(90_000.4);
    notify.status('booting');
    notify.status('starting');
    notify.ready();
    notify.status('release 7 is ready');
    notify.watchdog();
    notify.stopping();
    await notify.end(30_000);
    const expected = ['EXTEND_TIMEOUT_USEC=90000400', `READY=1\nMAINPID=${process.pid}`, 'STATUS=release 7 is ready', 'WATCHDOG=1', 'STOPPING=1'];
    for (const message of expected) t.equal(await peer.next(), message);
    notify.watchdog();
    t.equal(await peer.next(), 'WATCHDOG=1', 'and one that comes when all was told');
    await notify.end(30_000);
  });
}

t.test('a status is one line, and fits into a message', async (t) => {
  if (!needsNotify(t)) return;
  const socket = join(shortFolder(t), 'notify');
  const peer = await startNotifySocket(t, socket);
  const notify = createNotify(environment(socket), (detail) => t.fail(detail));
  for (const text of ['one\ntwo\0\u001b[31m three\uD800', '€'.repeat(5000), '--help', '']) {
    notify.status(text);
    await notify.end(30_000);
  }
  t.equal(await peer.next(), 'STATUS=one two [31m three\uFFFD');
  t.equal(await peer.next(), `STATUS=${'€'.repeat(1000)}`);
  t.equal(await peer.next(), 'STATUS=--help');
  t.equal(await peer.next(), 'STATUS=');
});

t.test('without NOTIFY_SOCKET nothing is run', async (t) => {
  const { path, notes } = ownTool(t, 'echo "$@" >> $notes');
  const notify = createNotify({ PATH: path, WATCHDOG_USEC: '5000000' }, (detail) => t.fail(detail));
  notify.ready();
  notify.watchdog();
  await notify.end(30_000);
  t.same(notes(), ['']);
  t.equal(notify.watchdogMs, undefined);
});

t.test('the tool gets the socket and no other child does', async (t) => {
  const { path, notes } = ownTool(t, 'env | cut -d= -f1 | grep -vE "^(PWD|OLDPWD|SHLVL|_)$" | sort >> $notes');
  const env = environment('/nowhere', { PATH: path, SECRET: 'x', WATCHDOG_USEC: '5000000', WATCHDOG_PID: String(process.pid) });
  const notify = createNotify(env, (detail) => t.fail(detail));
  notify.stopping();
  await notify.end(30_000);
  t.same(notes(), ['NOTIFY_SOCKET', 'PATH']);
  notify.ready();
  await notify.end(30_000);
  t.equal(process.env.NOTIFY_SOCKET, undefined);
  t.notMatch(execFileSync('env', { env }).toString(), /NOTIFY|WATCHDOG/);
});

t.test('the watchdog is of this process, or of whichever the unit starts', async (t) => {
  const watchdogMs = (more: NodeJS.ProcessEnv) => createNotify(environment('/nowhere', more), () => {}).watchdogMs;
  t.equal(watchdogMs({ WATCHDOG_USEC: '5000000' }), 5000);
  t.equal(watchdogMs({ WATCHDOG_USEC: '5000000', WATCHDOG_PID: String(process.pid) }), 5000);
  t.equal(watchdogMs({ WATCHDOG_USEC: '5000000', WATCHDOG_PID: '1' }), undefined);
  t.equal(watchdogMs({ WATCHDOG_USEC: 'soon' }), undefined);
  t.equal(watchdogMs({}), undefined);
});

t.test('a missing tool is said once', async (t) => {
  const said: string[] = [];
  const notify = createNotify(environment('/nowhere', { PATH: t.testdir() }), (detail) => said.push(detail));
  useEnvironment(t, { PATH: t.testdir() });
  notify.ready();
  notify.status('starting');
  await notify.end(30_000);
  t.same(said, ['systemd-notify: ENOENT']);
});

t.test('what the tool could not tell is told again', async (t) => {
  const { path, notes } = ownTool(t, 'echo "$@" >> $notes; [ $(wc -l < $notes) -gt 1 ] || { echo not now >&2; exit 1; }');
  const said: string[] = [];
  const notify = createNotify(environment('/nowhere', { PATH: path }), (detail) => said.push(detail));
  notify.ready();
  notify.status('ready');
  await notify.end(30_000);
  const ready = `--ready --pid=${process.pid}`;
  t.same(notes(), [ready, ready, 'STATUS=ready']);
  t.same(said, ['systemd-notify: not now']);
});

t.test('S31: no descriptor is left for the tool: nothing ends, and it is told when there is one again', async (t) => {
  const { path, notes } = ownTool(t, 'echo "$@" >> $notes');
  const program = `
    import { closeSync, openSync } from 'node:fs';
    import { createNotify } from ${JSON.stringify(new URL('../../../agent/reporting/notify.ts', import.meta.url).href)};
    const open = [];
    const fill = () => { try { for (;;) open.push(openSync('/dev/null')); } catch {} };
    const notify = createNotify(process.env, (detail) => { console.log(detail); for (const fd of open) closeSync(fd); });
    fill();
    notify.ready();
    await notify.end(30_000);`;
  const env = environment('/nowhere', { PATH: path });
  const said = execFileSync('sh', ['-c', 'ulimit -n 64; exec "$0" --input-type=module-typescript -e "$1"', process.execPath, program], { env });
  t.equal(said.toString(), 'systemd-notify: EMFILE\n');
  t.match(notes(), [/^--ready --pid=\d+$/]);
});

t.test('a tool that hangs does not hold the end', async (t) => {
  const { path, notes } = ownTool(t, '[ -s $notes ] && exit; echo $$ >> $notes; exec sleep 60');
  const notify = createNotify(environment('/nowhere', { PATH: path }), () => {});
  const tool = () => Number(notes()[0]);
  t.teardown(() => process.kill(tool()));
  notify.ready();
  while (tool() === 0) await notify.end(20);
  const begin = performance.now();
  await notify.end(100);
  t.ok(performance.now() - begin < 5_000);
});
