import { once } from 'node:events';
import { request } from 'node:http';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { serveHealth } from '../../../agent/readiness/server.ts';
import type { Readiness, Status } from '../../../contract/status.ts';
import { freePort } from '../../support/free-port.ts';
import { shortFolder } from '../../support/short-folder.ts';

const status: Status = {
  state: 'ready',
  agent: '0.1.0',
  pid: 1,
  instance: 'local',
  sinceStartMs: 1,
  inStateMs: 1,
  phasesMs: {},
  config: { A: 1 },
  restarts: 0,
  workersReplaced: 0,
  probes: [],
  causes: [],
  logLinesLost: 0,
  logTail: [],
};

t.test('answers 200 only when ready, with what it was told, and the status on its socket alone', async (t) => {
  let readiness: Readiness = { state: 'booting', phase: 'identity' };
  const statusSocket = join(shortFolder(t), 'agent.sock');
  const server = await serveHealth({ host: '127.0.0.1', port: 0, statusSocket }, { readiness: () => readiness, status: () => status });
  t.teardown(() => server.close());
  const url = `http://127.0.0.1:${server.port}`;
  const booting = await fetch(`${url}/readyz`);
  t.equal(booting.status, 503);
  t.same(await booting.json(), { state: 'booting', phase: 'identity' });
  readiness = { state: 'ready', release: 3, commit: 'abc' };
  const ready = await fetch(`${url}/readyz`);
  t.equal(ready.status, 200);
  t.same(await ready.json(), { state: 'ready', release: 3, commit: 'abc' });
  readiness = { state: 'ready', cause: 'PROBE_STALE', sentence: 's', next: 'n' };
  t.equal((await fetch(`${url}/readyz`)).status, 503, 'not with a reason against it');
  readiness = { state: 'failed', cause: 'UNPINNED', sentence: 's', next: 'n' };
  t.equal((await fetch(`${url}/readyz`)).status, 503);
  t.equal((await fetch(`${url}/livez`)).status, 200);
  t.equal((await fetch(`${url}/status`)).status, 404);

  const call = request({ socketPath: statusSocket, path: '/status' });
  call.end();
  const [response] = await once(call, 'response');
  const [body] = await once(response, 'data');
  t.same(JSON.parse(body), status);
});

t.test('a health port that is taken names its holder', async (t) => {
  const port = await freePort();
  const holder = createServer().listen(port, '127.0.0.1');
  await once(holder, 'listening');
  t.teardown(() => holder.close());
  const bind = { host: '127.0.0.1', port, statusSocket: join(shortFolder(t), 's') };
  await t.rejects(serveHealth(bind, { readiness: () => ({ state: 'ready' }), status: () => status }), { code: 'HEALTH_PORT_IN_USE', message: /pid/ });
});

t.test("an address that is not the host's, and a socket path that is too long, are told as the settings they are", async (t) => {
  const sources = { readiness: () => ({ state: 'ready' }) as const, status: () => status };
  const elsewhere = { host: '192.0.2.1', port: 0, statusSocket: join(shortFolder(t), 's') };
  await t.rejects(serveHealth(elsewhere, sources), { code: 'SETTING_INVALID', message: /PINION_BIND.*192\.0\.2\.1:0 EADDRNOTAVAIL/ });
  const port = await freePort();
  const deep = { host: '127.0.0.1', port, statusSocket: join(shortFolder(t), 'x'.repeat(120)) };
  await t.rejects(serveHealth(deep, sources), { code: 'SETTING_INVALID', message: /RUNTIME_DIRECTORY/ });
  const again = await serveHealth({ ...deep, statusSocket: join(shortFolder(t), 's') }, sources);
  t.equal(again.port, port, 'and the port is let go');
  await again.close();
});

t.test('closing waits for no client that holds half a request', async (t) => {
  const bind = { host: '127.0.0.1', port: 0, statusSocket: join(shortFolder(t), 's') };
  const server = await serveHealth(bind, { readiness: () => ({ state: 'ready' }), status: () => status });
  const client = connect(server.port, '127.0.0.1');
  t.teardown(() => client.destroy());
  await once(client, 'connect');
  client.on('error', () => {});
  client.write('GET /readyz HTTP/1.1\r\nHost: x\r\n');
  await (await fetch(`http://127.0.0.1:${server.port}/livez`)).text();
  await t.resolves(server.close());
});
