import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { json, text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { Said } from '../../support/say-lines.ts';
import { needsNamespaces } from '../../support/tool.ts';

const program = fileURLToPath(new URL('../../support/say-lines.ts', import.meta.url));
/** A mean load of other tests is no stall; a probe's timeout is. */
const stallMs = 2_000;

const start = (args: string[], stdio: SpawnOptions['stdio']) => spawn(process.execPath, [program, ...args], { stdio });
/** `script` of sh, with the program's command as `"$@"`. */
const startShell = (script: string, args: string[]) =>
  spawn('sh', ['-c', script, 'sh', process.execPath, program, ...args], { stdio: ['ignore', 'pipe', 'ignore', 'pipe'] });

/** Its exit status and what it says of itself. */
async function ended(child: ChildProcess): Promise<Said & { code: number }> {
  const [said, [code]] = await Promise.all([json(child.stdio[3] as never) as Promise<Said>, once(child, 'exit')]);
  return { ...said, code };
}

const eventsIn = (log: string): { event: string; line?: string; lines?: number }[] =>
  log
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

t.test('what was said before the end is out when somebody reads: a socket, as the journal gives, and a pipe', async (t) => {
  const socket = start(['burst', '5000'], ['ignore', 'pipe', 'pipe', 'pipe']);
  const pipe = startShell('"$@" 2>/dev/null | cat', ['burst', '5000']);
  const [log, lines, , piped] = await Promise.all([
    text(socket.stdout as never),
    text(socket.stderr as never),
    ended(socket),
    text(pipe.stdout as never),
    ended(pipe),
  ]);
  t.equal(eventsIn(log).length, 5000);
  t.match(eventsIn(log).at(-1), { event: 'app-output', line: /^line 1\./ });
  t.equal(lines.split('\n').length, 5001);
  t.equal(eventsIn(piped).length, 5000);
});

t.test('nobody reads: saying goes on, 1 MiB waits, whole lines are dropped and counted, and the end is bounded', async (t) => {
  const child = start(['burst', '50000'], ['ignore', 'pipe', 'pipe', 'pipe']);
  const { code, lost, consoleLost, ms, endMs } = await ended(child);
  t.equal(code, 0);
  t.ok(lost > 30_000 && lost < 50_000, `${lost} of 50,000 lines are lost`);
  t.equal(consoleLost, 0, 'what fits into a mebibyte is not lost');
  t.ok(ms < 10_000 && endMs < stallMs, `${ms} ms, ${endMs} ms at the end`);
});

t.test('N15: no space for one line on stdout and stderr', async (t) => {
  const { code, lost, consoleLost } = await ended(startShell('exec "$@" >/dev/full 2>/dev/full', ['burst', '200000']));
  t.equal(code, 0);
  t.ok(lost > 100_000 && consoleLost > 0, `${lost} and ${consoleLost} lines are lost`);
});

t.test('N15: stdout and stderr are closed at the other end', async (t) => {
  const child = start(['burst', '1000'], ['ignore', 'pipe', 'pipe', 'pipe']);
  child.stdout?.destroy();
  child.stderr?.destroy();
  t.match(await ended(child), { code: 0, lost: 1000, consoleLost: 1000 });
});

t.test('a stopped terminal stalls nothing, and stays blocking for the programs it is shared with', async (t) => {
  const stopped = `
import json, os, pty, subprocess, sys
_, terminal = pty.openpty()
child = subprocess.run(sys.argv[1:], stdout=terminal, stderr=terminal, pass_fds=[3], timeout=60)
print(json.dumps([child.returncode, os.get_blocking(terminal)]))`;
  const child = spawn('python3', ['-c', stopped, process.execPath, program, 'burst', '20000'], { stdio: ['ignore', 'pipe', 'inherit', 'pipe'] });
  const [result, { lost }] = await Promise.all([json(child.stdout as never), ended(child)]);
  t.same(result, [0, true]);
  t.ok(lost > 0, `${lost} lines are lost`);
});

t.test('S29: 1 GB of noise, not all of it UTF-8, into a log that nobody reads', { timeout: 180_000 }, async (t) => {
  const line = Buffer.from(`${'noise '.repeat(160)}\n`);
  const block = Buffer.concat([randomBytes(65_536), ...Array.from({ length: 1000 }, () => line)]).subarray(0, 1_000_000);
  const child = start(['relay'], ['pipe', 'pipe', 'ignore', 'pipe']);
  const end = ended(child);
  for (let left = 1000; left > 0; left--) if (child.stdin?.write(block) === false) await once(child.stdin, 'drain');
  child.stdin?.end();
  const { code, lines, lost, longestDelayMs, peakMb } = await end;
  t.equal(code, 0);
  t.ok(lines > 900_000 && lost > lines - 20_000, `${lost} of ${lines} lines are lost`);
  t.ok(longestDelayMs < stallMs, `the longest delay of the event loop is ${longestDelayMs} ms`);
  t.ok(peakMb < 256, `at most ${peakMb} MB`);
});

t.test('F21: a full disk under the log: lines are dropped and counted, and whole lines follow when there is room again', async (t) => {
  if (!needsNamespaces(t)) return;
  const script = `
mount -t tmpfs -o size=4m tmpfs "$1" && cd "$1" && shift || exit 1
head -c 4100000 /dev/zero > ballast
"$@" refill ballast > log
status=$?; cat log; exit $status`;
  const args = ['-rm', 'sh', '-c', script, 'sh', t.testdir(), process.execPath, program];
  const child = spawn('unshare', args, { stdio: ['ignore', 'pipe', 'inherit', 'pipe'] });
  const [log, { code, lost, lines }] = await Promise.all([text(child.stdout as never), ended(child)]);
  const events = eventsIn(log);
  t.equal(code, 0);
  t.equal(lost, 100);
  t.equal(events.length, lines - lost + 1, 'every line is there whole, or counted');
  t.match(events.slice(-2), [
    { event: 'log-lost', lines: 100 },
    { event: 'app-output', line: 'room again' },
  ]);
});
