import http from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { type Fault, jsonError, startFaultingProxy, throttled } from './faulting-proxy.ts';

const body = Buffer.alloc(300_000, 'pinion ');

async function upstream(t: { teardown(fn: () => unknown): unknown }): Promise<string> {
  const server = http.createServer((request, response) => {
    request.resume();
    if (request.url === '/empty') return void response.writeHead(204).end();
    response.writeHead(200, { 'content-length': body.length, 'x-method': request.method ?? '' }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.closeAllConnections());
  t.teardown(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** What a plain client gets: the bytes until the end, an error, or `enough` of them. */
function ask(
  url: string,
  options: http.RequestOptions = {},
  enough = Infinity,
): Promise<{ status?: number; headers?: http.IncomingHttpHeaders; body: Buffer; ended: string }> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    const request = http.request(url, { agent: false, ...options }, (response) => {
      const finish = (ended: string) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks), ended });
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        sizeBytes += chunk.length;
        if (sizeBytes < enough) return;
        finish('enough');
        request.destroy();
      });
      response.on('end', () => finish('end'));
      response.on('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
    });
    request.on('error', (error: NodeJS.ErrnoException) => resolve({ body: Buffer.concat(chunks), ended: error.code ?? error.message }));
    request.end();
  });
}

t.test('what no rule names passes unchanged', async (t) => {
  const proxy = await startFaultingProxy(t, await upstream(t));
  const got = await ask(proxy.url, { method: 'PUT' });
  t.equal(got.ended, 'end');
  t.ok(got.body.equals(body));
  t.equal(got.headers?.['x-method'], 'PUT');
  t.equal((await ask(`${proxy.url}/empty`)).status, 204);
  t.equal((await ask(proxy.url, { method: 'HEAD' })).headers?.['content-length'], String(body.length));
  t.same(
    proxy.requests.map((seen) => [seen.method, seen.path, seen.answered]),
    [
      ['PUT', '/', 200],
      ['GET', '/empty', 204],
      ['HEAD', '/', 200],
    ],
  );
});

t.test('each fault does what the specification says', async (t) => {
  const proxy = await startFaultingProxy(t, await upstream(t));
  const under = async (fault: Fault, enough?: number) => {
    const rule = proxy.fault({ method: 'GET' }, fault);
    const got = await ask(proxy.url, {}, enough);
    rule.remove();
    return got;
  };
  t.match(await under(throttled), { status: 400, body: Buffer.from('{"__type":"ThrottlingException","message":"Rate exceeded"}') });
  t.equal((await under(jsonError('AccessDeniedException', 'no', 403))).status, 403);
  t.equal((await under({ do: 'reset' })).ended, 'ECONNRESET');
  t.match((await under({ do: 'raw', bytes: 'no http\r\n\r\n' })).ended, /HPE_/);
  const cut = await under({ do: 'resetAfter', bytes: 1000 });
  t.equal(cut.ended, 'ECONNRESET');
  t.ok(cut.body.equals(body.subarray(0, 1000)));
  t.equal((await under({ do: 'stallAfter', bytes: 100_000 }, 100_000)).body.length, 100_000);
  t.ok((await under({ do: 'drip', bytes: 100_000, everyMs: 1 })).body.equals(body));
  const wrong = (await under({ do: 'flip', offset: 200_000 })).body;
  t.same(
    wrong.map((byte, at) => (byte === body[at] ? 0 : 1)).reduce((a, b) => a + b),
    1,
  );
  t.not(wrong[200_000], body[200_000]);
  const short = await under({ do: 'shorten', bytes: 77 });
  t.same([short.ended, short.headers?.['content-length'], short.body.length], ['end', '77', 77]);
  const long = await under({ do: 'endless' }, 1_000_000);
  t.same([long.ended, long.headers?.['content-length'], long.body.length >= 1_000_000], ['enough', undefined, true]);
  t.equal((await under({ do: 'endless', contentLength: 400_000 })).body.length, 400_000);
  const late = await under({ do: 'date', shiftMs: 7_200_000 });
  t.ok(Date.parse(late.headers?.date ?? '') - Date.now() > 7_000_000);
});

t.test('nth, the newest rule first, hold and release, next', async (t) => {
  const proxy = await startFaultingProxy(t, await upstream(t));
  const second = proxy.fault({ path: /^\/empty/, nth: 2 }, { do: 'answer', status: 503 });
  const statuses = [];
  for (let i = 0; i < 3; i++) statuses.push((await ask(`${proxy.url}/empty`)).status);
  t.same(statuses, [204, 503, 204]);
  t.equal(second.used, 1);

  const held = proxy.fault({}, { do: 'hold' });
  const arrived = proxy.next({ path: /^\/empty/ });
  const answer = ask(`${proxy.url}/empty`);
  t.equal((await arrived).answered, undefined);
  held.release();
  t.equal((await answer).status, 204);
  t.equal((await ask(`${proxy.url}/empty`)).status, 204);
  held.remove();

  proxy.fault({}, (seen) => (seen.path === '/empty' ? undefined : { do: 'answer', status: 418 }));
  t.equal((await ask(`${proxy.url}/empty`)).status, 204);
  t.equal((await ask(proxy.url)).status, 418);
});
