/** The real agent as a process, with real gunicorn, on the embedded cloud: what an operator would see of each fault. */
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import t, { type Test } from 'tap';
import type { AgentEvent } from '../../contract/events.ts';
import type { ReleaseNumber } from '../../contract/names.ts';
import type { UserData } from '../../contract/user-data.ts';
import { artifactPath } from '../../pipeline/artifact/built.ts';
import { withoutImds } from '../support/agent.ts';
import { type Cloud, infrastructure, startCloud } from '../support/cloud.ts';
import { startFaultingProxy } from '../support/faulting-proxy.ts';
import { freePort } from '../support/free-port.ts';
import { isStart, launch, limited, released, runningIn, secret, source, starts, statusOf } from '../support/launched.ts';
import { putRecord } from '../support/record.ts';
import { shortFolder } from '../support/short-folder.ts';

/** The slowest a permanent cause may be (seconds of the issue's own: permanent causes stop in under 5 s). */
const permanentMs = 5_000;

let cloud: Cloud;
t.before(async () => {
  cloud = await startCloud(t);
});

/** The agent has failed with this cause: in `/readyz`, as the one line of the console, and nowhere with a value of config. */
async function failsWith(t: Test, { agent, sinceMs }: Awaited<ReturnType<typeof launch>>, cause: string, says: RegExp) {
  await agent.untilState('failed');
  await agent.untilConsole();
  t.ok(sinceMs() < permanentMs, `${cause} after ${Math.round(sinceMs())} ms`);
  const { status, body } = await agent.readyz();
  t.equal(status, 503);
  t.match(body, { state: 'failed', cause, sentence: says, next: /./ });
  t.equal(agent.console.length, 1, 'one line on the console');
  t.match(agent.console[0], new RegExp(`^pinion: ${cause}: `));
  t.notMatch(JSON.stringify([agent.events, agent.console, body]), /pa\\*"ss/);
}

t.test('boots what its user data names, serves it with its config, and drains', async (t) => {
  const app = await released(t, cloud);
  const proxy = await startFaultingProxy(t, cloud.endpoint);
  const held = proxy.fault({ target: 'AmazonSSM.GetParameter' }, { do: 'hold' });
  const { agent, url, folder } = await launch(t, cloud, app, withoutImds(proxy.url));
  await agent.until((event): event is AgentEvent & { event: 'phase-started' } => event.event === 'phase-started' && event.phase === 'release');
  t.match(await agent.readyz(), { status: 503, body: { state: 'booting', phase: 'release' } });
  held.release();
  await agent.untilState('ready');
  t.equal(await (await fetch(url)).text(), `release ${app.userData.release} says ${secret}`);
  t.match(await agent.readyz(), { status: 200, body: { state: 'ready', release: app.userData.release } });
  t.match(await statusOf(folder), { config: { SECRET: 1 }, restarts: 0, instance: 'local' });
  t.equal(proxy.seen({ target: 'AmazonSSM.GetParameters' }).length + proxy.seen({ target: 'AmazonSSM.GetParameter' }).length, 2, '1 + ⌈1/10⌉ SSM calls');
  t.equal(proxy.seen({ method: 'GET', path: /\.tar\.zst/ }).length, 1, 'one S3 call');
  t.notMatch(JSON.stringify([agent.events, agent.console, await statusOf(folder)]), /pa\\*"ss/, 'no value leaves');

  t.equal(await agent.stop(), 0);
  t.same(agent.console, []);
  await t.rejects(fetch(url), 'nothing listens any more');
  t.same(readdirSync(join(folder, 'state', 'releases')).sort(), [app.sha256, `${app.sha256}.list`]);

  await t.test('a second start needs no second download', async (t) => {
    const again = await launch(t, cloud, app, withoutImds(proxy.url), folder);
    await again.agent.untilState('ready');
    t.equal(proxy.seen({ method: 'GET', path: /\.tar\.zst/ }).length, 1);
    await again.agent.stop();
  });
  await t.test('T14: another release leaves exactly one on disk', async (t) => {
    const next = await released(t, cloud, { source: `${source}\n# changed\n` });
    const again = await launch(t, cloud, next, {}, folder);
    await again.agent.untilState('ready');
    t.same(readdirSync(join(folder, 'state', 'releases')).sort(), [next.sha256, `${next.sha256}.list`]);
  });
});

t.test('S01: a missing app object is permanent: no retry, the reason everywhere, the log tail in the status', async (t) => {
  const app = await released(t, cloud, { settings: 'entry-point = "shop:nothing"\ninclude = ["shop.py"]\n' });
  const running = await launch(t, cloud, app);
  await failsWith(t, running, 'APP_OBJECT_MISSING', /shop:nothing/);
  t.equal(starts(running.agent), 1);
  t.match((await statusOf(running.folder)).logTail.join('\n'), /Failed to find attribute 'nothing'/);
});

t.test('S03: a flag that gunicorn refuses is permanent, with what it said', async (t) => {
  // Only another gunicorn knows other flags than the one that was locked: here, one in the place of it.
  const files = { 'gunicorn.py': 'import argparse\nargparse.ArgumentParser(prog="gunicorn").parse_args()\n' };
  const app = await released(t, cloud, { files, settings: 'entry-point = "shop:app"\ninclude = ["shop.py", "gunicorn.py"]\n' });
  const running = await launch(t, cloud, app);
  await failsWith(t, running, 'APP_SETTINGS_INVALID', /gunicorn: error: unrecognized arguments: --config/);
  t.equal(starts(running.agent), 1);
});

t.test('S04: an interpreter that is not there is permanent, and the agent goes on answering why', async (t) => {
  const app = await released(t, cloud);
  await failsWith(t, await launch(t, cloud, { ...app, interpreter: '/usr/bin/python3.99' }), 'INTERPRETER_MISSING', /python3\.99.*ENOENT/);
  await failsWith(t, await launch(t, cloud, { ...app, interpreter: artifactPath(app.appDir) }), 'INTERPRETER_MISSING', /EACCES/);
});

t.test('S13: a port that another process holds is named with its holder, who is left alone; freed, the app starts', async (t) => {
  const app = await released(t, cloud);
  const port = await freePort();
  const hold = async () => {
    for (;;) {
      const server = createServer().listen({ port, host: '127.0.0.1' });
      const [outcome] = await Promise.race([once(server, 'listening').then(() => ['held']), once(server, 'error')]);
      if (outcome === 'held') return server;
    }
  };
  const first = await hold();
  const limits = limited({ restartBaseMs: 300, restartCapMs: 300 });
  const { agent, url } = await launch(t, cloud, app, { PINION_TRAFFIC_PORT: String(port), ...limits });
  const isTaken = (event: AgentEvent): event is AgentEvent & { event: 'failed' } => event.event === 'failed' && event.cause === 'PORT_IN_USE';
  t.match(await agent.until(isTaken), { sentence: new RegExp(`127.0.0.1:${port} is held by .*\\(pid ${process.pid}\\)`) });
  t.match(await agent.readyz(), { status: 503, body: { state: 'starting', cause: 'PORT_IN_USE' } });
  first.close();
  await agent.untilState('ready');

  const { pid } = await agent.until(isStart);
  process.kill(pid, 'SIGKILL');
  const second = await hold();
  const taken = () => agent.events.filter(isTaken);
  const before = taken().length;
  await agent.until((event): event is AgentEvent & { event: 'failed' } => isTaken(event) && taken().indexOf(event) >= Math.max(before, 1));
  t.ok(second.listening, 'the holder is left alone');
  t.match(await agent.readyz(), { status: 503 });
  second.close();
  const again = (event: AgentEvent): event is AgentEvent & { event: 'state' } =>
    event.event === 'state' && event.to === 'ready' && agent.events.indexOf(event) > agent.events.findLastIndex(isTaken);
  await agent.until(again);
  t.equal((await fetch(url)).status, 200);
});

t.test('a health port that is taken ends the agent with the holder named, and leaves nothing running', async (t) => {
  const app = await released(t, cloud);
  const holder = createServer().listen({ port: 0, host: '127.0.0.1' });
  await once(holder, 'listening');
  t.teardown(() => holder.close());
  const { port } = holder.address() as AddressInfo;
  const { agent, folder } = await launch(t, cloud, app, { PINION_HEALTH_PORT: String(port) });
  t.equal(await agent.exited, 1);
  t.equal(agent.console.length, 1, 'one line on the console');
  t.match(agent.console[0], new RegExp(`^pinion: HEALTH_PORT_IN_USE: the health port 127\\.0\\.0\\.1:${port} is held by .+ \\(pid ${process.pid}\\)`));
  t.ok(holder.listening, 'the holder is left alone');
  t.equal(starts(agent), 0);
  t.same(runningIn(folder), [], 'neither the boot nor gunicorn');
});

t.test('F06: one changed byte in the stored artifact fails the next boot with the digest, after one refetch, and nothing stays', async (t) => {
  const app = await released(t, cloud, { source: `${source}# to be altered\n` });
  const altered = readFileSync(artifactPath(app.appDir));
  altered.writeUInt8(altered.readUInt8(1000) ^ 1, 1000);
  const { userData } = await putRecord(cloud, app.userData, async (record) => {
    const { bucket: Bucket, key: Key } = record.artifact;
    const { VersionId = '' } = await cloud.clients.s3.send(new PutObjectCommand({ Bucket, Key, Body: altered }));
    return { ...record, artifact: { ...record.artifact, versionId: VersionId } };
  });
  const proxy = await startFaultingProxy(t, cloud.endpoint);
  const running = await launch(t, cloud, { ...app, userData }, withoutImds(proxy.url));
  await failsWith(t, running, 'ARTIFACT_DIGEST_MISMATCH', new RegExp(app.sha256));
  t.equal(proxy.seen({ method: 'GET', path: /\.tar\.zst/ }).length, 2);
  t.same(readdirSync(join(running.folder, 'state', 'releases')), []);
});

t.test('F01: a record of another environment, and one that took the number of another', async (t) => {
  const app = await released(t, cloud);
  const foreign = await putRecord(cloud, app.userData, async (record) => ({ ...record, env: 'production' }));
  await failsWith(t, await launch(t, cloud, { ...app, userData: foreign.userData }), 'RECORD_FOREIGN', /shop\/production.*shop\/test/);
  const reborn: UserData = { ...app.userData, release: foreign.userData.release };
  await failsWith(t, await launch(t, cloud, { ...app, userData: reborn }), 'RECORD_DIGEST_MISMATCH', /release/);
});

t.test('N04: an instance of the base version ends as unpinned', async (t) => {
  const { release: _, recordSha256: __, ...base } = (await released(t, cloud)).userData;
  await failsWith(t, await launch(t, cloud, { interpreter: '/usr/bin/python3', userData: JSON.stringify(base) }), 'UNPINNED', /no release/);
});

t.test('N12: user data of any other kind is refused by its kind and not run', async (t) => {
  const touched = join(shortFolder(t), 'touched');
  const kinds = {
    USER_DATA_SCRIPT: `#!/bin/sh\ntouch ${touched}\n`,
    USER_DATA_CLOUD_CONFIG: `#cloud-config\nruncmd: [touch ${touched}]\n`,
    USER_DATA_MULTIPART: 'Content-Type: multipart/mixed; boundary=x\n\n--x\n',
    USER_DATA_TOO_LARGE: JSON.stringify({ note: 'x'.repeat(5000) }),
    USER_DATA_EMPTY: ' ',
    USER_DATA_NOT_JSON: 'release: 7',
    USER_DATA_NEWER: JSON.stringify({ ...infrastructure, schemaVersion: 2 }),
    USER_DATA_INVALID: JSON.stringify({ schemaVersion: 1, release: 1 as ReleaseNumber }),
  };
  for (const [cause, userData] of Object.entries(kinds)) {
    await failsWith(t, await launch(t, cloud, { interpreter: '/usr/bin/python3', userData }), cause, /user data/);
  }
  t.notOk(readdirSync(join(touched, '..')).includes('touched'));
});

t.test('a transient cause that lasts is told at the end of the boot budget', async (t) => {
  const app = await released(t, cloud);
  const userData = { ...app.userData, times: { ...app.userData.times, bootBudgetMs: 700 } };
  const limits = limited({ retryCapMs: 50 });
  const running = await launch(t, cloud, { ...app, userData }, { ...withoutImds(`http://127.0.0.1:${await freePort()}`), ...limits });
  await failsWith(t, running, 'SSM_UNAVAILABLE', /ECONNREFUSED/);
  t.ok(running.agent.events.some(({ event }) => event === 'phase-retried'));
});
