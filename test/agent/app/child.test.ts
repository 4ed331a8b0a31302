import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createChildApp } from '../../../agent/app/child.ts';
import { environmentFile } from '../../../agent/app/environment.ts';
import type { Exit } from '../../../agent/app/restart.ts';
import { freePort } from '../../support/free-port.ts';

const secret = 'a "b" $c `d` \\e';

/** A child app that is a shell script, with its lines and exits to wait for. */
async function scripted(t: Test, script: string, variables: [string, string][] = []) {
  const folder = t.testdir({ 'app.env': environmentFile([['PATH', '/usr/bin:/bin'], ...variables]), program: `#!/bin/sh\n${script}\n` });
  chmodSync(join(folder, 'program'), 0o755);
  const lines: string[] = [];
  const exits: Exit[] = [];
  const waiting: (() => void)[] = [];
  const wake = () => {
    for (const resolve of waiting.splice(0)) resolve();
  };
  const app = createChildApp({
    command: [join(folder, 'program')],
    environmentFile: join(folder, 'app.env'),
    folder,
    bind: { host: '127.0.0.1', port: await freePort() },
    configNames: ['GREETING'],
    recordFile: join(folder, 'app.json'),
    onLine: (line) => {
      lines.push(line);
      wake();
    },
    onExit: (exit) => {
      exits.push(exit);
      wake();
    },
  });
  const until = async (isDone: () => boolean) => {
    while (!isDone()) await new Promise<void>((resolve) => waiting.push(resolve));
  };
  t.teardown(async () => {
    app.kill();
    if (existsSync(join(folder, 'app.json')) && lines.length > 0) await until(() => exits.length > 0);
  });
  return { app, folder, lines, exits, until };
}

const isAlive = (pid: number) => {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
};

t.test('its environment is the environment file and nothing else', async (t) => {
  const { app, lines, exits, until } = await scripted(t, 'env | sort; echo end', [['GREETING', secret]]);
  await app.start();
  await until(() => exits.length === 1);
  // The shell adds a few of its own.
  const own = lines.filter((line) => !/^(_|PWD|SHLVL|OLDPWD)=/.test(line));
  t.same(own, ['GREETING=[GREETING]', 'PATH=/usr/bin:/bin', 'end'], 'and the value does not reach the log');
});

t.test('a stop ends the process; one that ignores TERM needs the kill', async (t) => {
  const polite = await scripted(t, 'trap "echo bye; exit 0" TERM; echo up; while :; do sleep 0.01; done');
  await polite.app.start();
  await polite.until(() => polite.lines.includes('up'));
  polite.app.terminate();
  await polite.until(() => polite.exits.length === 1);
  t.same(polite.exits, [{ code: 0, signal: null, wasKilled: false }]);

  const deaf = await scripted(t, 'trap "echo no" TERM; echo up; while :; do sleep 0.01; done');
  await deaf.app.start();
  await deaf.until(() => deaf.lines.includes('up'));
  deaf.app.terminate();
  await deaf.until(() => deaf.lines.includes('no'));
  t.equal(deaf.exits.length, 0);
  deaf.app.kill();
  await deaf.until(() => deaf.exits.length === 1);
  t.same(deaf.exits, [{ code: null, signal: 'SIGKILL', wasKilled: true }]);
});

t.test('what it left behind in its group is ended before its exit is told', async (t) => {
  const { app, lines, exits, until } = await scripted(t, 'sleep 600 & echo $!; exit 3');
  await app.start();
  await until(() => exits.length === 1);
  t.same(exits, [{ code: 3, signal: null, wasKilled: false }]);
  t.notOk(isAlive(Number(lines[0])));
});

t.test('S04: a missing or unusable interpreter is named, nothing is started', async (t) => {
  for (const damage of [(path: string) => chmodSync(path, 0o644), (path: string) => writeFileSync(path, '')]) {
    const { app, folder } = await scripted(t, 'true');
    damage(join(folder, 'program'));
    chmodSync(join(folder, 'program'), 0o644);
    await t.rejects(app.start(), { code: 'INTERPRETER_MISSING', message: /EACCES/ });
  }
});

t.test('a release that is gone from the disk is told as that, not as a missing interpreter', async (t) => {
  const { app, folder } = await scripted(t, 'true');
  rmSync(folder, { recursive: true });
  await t.rejects(app.start(), { code: 'TREE_MISSING', isTransient: false, message: new RegExp(folder) });
});

t.test('S13: a taken port names the process that holds it, which goes on', async (t) => {
  const port = await freePort();
  const holder = createServer();
  holder.listen(port, '127.0.0.1');
  await once(holder, 'listening');
  t.teardown(() => holder.close());
  const folder = t.testdir({ 'app.env': '' });
  const app = createChildApp({
    command: ['/bin/true'],
    environmentFile: join(folder, 'app.env'),
    folder,
    bind: { host: '127.0.0.1', port },
    configNames: ['GREETING'],
    recordFile: join(folder, 'app.json'),
    onLine: () => {},
    onExit: () => {},
  });
  await t.rejects(app.start(), { code: 'PORT_IN_USE', message: new RegExp(`\\(pid ${process.pid}\\)`) });
  t.ok(holder.listening);
});

t.test('what a killed agent and a killed leader left in their folder is ended by the next start; in another folder it is not ours', async (t) => {
  const { app, folder, exits, until } = await scripted(t, 'exit 0');
  for (const [cwd, isEnded] of [
    [folder, true],
    ['/', false],
  ] as const) {
    const leader = spawn('/bin/sh', ['-c', 'sleep 600 & echo $!; wait'], { cwd, detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
    const orphan = Number(await once(leader.stdout, 'data'));
    t.teardown(() => isAlive(orphan) && process.kill(orphan, 'SIGKILL'));
    const gone = once(leader, 'exit');
    leader.kill('SIGKILL');
    await gone;
    writeFileSync(join(folder, 'app.json'), JSON.stringify({ pid: leader.pid, startedAtTicks: '1', folder: realpathSync(folder) }));
    exits.length = 0;
    await app.start();
    await until(() => exits.length === 1);
    t.equal(isAlive(orphan), !isEnded, cwd);
  }
});

t.test('a group that a killed agent left is ended by the next start; a recycled or foreign pid is not touched', async (t) => {
  const leftover = spawn('/bin/sh', ['-c', 'sleep 600 & echo up; wait'], { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
  const bystander = spawn('/bin/sleep', ['600'], { detached: true, stdio: 'ignore' });
  t.teardown(() => bystander.kill('SIGKILL'));
  await once(leftover.stdout, 'data');
  const { app, folder, exits, until } = await scripted(t, 'exit 0');
  const ticks = readFileSync(`/proc/${leftover.pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[19];
  writeFileSync(join(folder, 'app.json'), JSON.stringify({ pid: leftover.pid, startedAtTicks: ticks }));
  const gone = once(leftover, 'exit');
  await app.start();
  await gone;
  await until(() => exits.length === 1);
  for (const foreign of [JSON.stringify({ pid: bystander.pid, startedAtTicks: '1' }), '{"pid":1}', 'not json', '\0\0']) {
    writeFileSync(join(folder, 'app.json'), foreign);
    await app.start();
    await until(() => exits.length > 1);
    exits.length = 1;
  }
  t.ok(isAlive(bystander.pid as number));
});
