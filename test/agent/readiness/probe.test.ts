import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import t, { type Test } from 'tap';
import { probe } from '../../../agent/readiness/probe.ts';
import { startProbing } from '../../../agent/readiness/probing.ts';
import { freePort } from '../../support/free-port.ts';

async function appThat(t: Test, answers: RequestListener) {
  const server = createServer(answers).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port, path: '/healthz' };
}
const never = new AbortController().signal;

t.test('only a completed response with status 200 is good', async (t) => {
  const seen: IncomingHttpHeaders[] = [];
  const target = await appThat(t, (request, response) => {
    seen.push(request.headers);
    t.equal(request.url, '/healthz');
    response.end('ok');
  });
  t.match(await probe(target, 5000, never), { isGood: true, hasAnswered: true, detail: 'status 200' });
  const forwarded = { 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'https', 'x-forwarded-port': '443' };
  t.same(seen, [{ host: `127.0.0.1:${target.port}`, 'user-agent': 'ELB-HealthChecker/2.0', connection: 'close', ...forwarded }]);
  for (const status of [204, 302, 404, 500, 503]) {
    const other = await appThat(t, (_, response) => response.writeHead(status).end());
    t.match(await probe(other, 5000, never), { isGood: false, hasAnswered: true, detail: `status ${status}` });
  }
});

t.test('no answer, half an answer, no listener: bad, within the limit, never thrown', async (t) => {
  t.match(await probe(await appThat(t, () => {}), 50, never), { isGood: false, detail: 'no answer in 50 ms' });
  const half = await appThat(t, (_, response) => response.writeHead(200, { 'content-length': '10' }).write('x'));
  t.match(await probe(half, 50, never), { isGood: false, detail: 'no answer in 50 ms' });
  const broken = await appThat(t, (_, response) => response.writeHead(200, { 'content-length': '10' }).write('x', () => response.destroy()));
  t.match(await probe(broken, 5000, never), { isGood: false });
  t.match(await probe({ host: '127.0.0.1', port: await freePort(), path: '/' }, 5000, never), { isGood: false, hasAnswered: false, detail: 'ECONNREFUSED' });
});

t.test('an answer that changes the protocol is a bad one, at once', async (t) => {
  const server = createTcpServer((socket) =>
    socket.once('data', () => socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const target = { host: '127.0.0.1', port: (server.address() as AddressInfo).port, path: '/' };
  t.match(await probe(target, 60_000, never), { isGood: false, hasAnswered: true, detail: 'status 101' });
});

t.test('probes again and again until it is stopped, each on a fresh connection', async (t) => {
  const ports = new Set<number | undefined>();
  const target = await appThat(t, (request, response) => {
    ports.add(request.socket.remotePort);
    response.end();
  });
  let count = 0;
  await new Promise<void>((resolve) => {
    const probing = startProbing(target, { everyMs: 1, refusedEveryMs: 60_000 }, 5000, () => {
      count++;
      if (count === 3) {
        probing.stop();
        resolve();
      }
    });
  });
  t.equal(count, 3);
  t.equal(ports.size, 3);
});

t.test('an app that refuses is asked at the slower pace', async (t) => {
  const target = await appThat(t, (_, response) => response.writeHead(503).end());
  const fast = { everyMs: 0, refusedEveryMs: 60_000 };
  let count = 0;
  const probing = startProbing(target, fast, 5000, () => {
    count++;
  });
  t.teardown(() => probing.stop());
  // Another one at the fast pace would go on long before this.
  for (let other = 0; other < 50; other++) await probe(target, 5000, never);
  t.equal(count, 1);
});
