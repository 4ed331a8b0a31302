import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import { createImds } from '../../agent/imds.ts';
import { startMetadata } from '../support/pinned.ts';

const { signal } = new AbortController();
/** For what must time out, and for what must not. */
const hasty = { imdsTimeoutMs: 200, imdsTokenSeconds: 21_600 };
const patient = { imdsTimeoutMs: 5_000, imdsTokenSeconds: 21_600 };
const put = { method: 'PUT', path: /^\/latest\/api\/token$/ };
const get = { method: 'GET' };
const instanceId = '/latest/meta-data/instance-id';

async function timed<T>(work: Promise<T>): Promise<{ thrown: unknown; ms: number }> {
  const startedAt = performance.now();
  const thrown = await work.then(
    () => undefined,
    (error) => error,
  );
  return { thrown, ms: performance.now() - startedAt };
}
/** On a busy machine a timer is late; never by this much. */
const graceMs = 1_000;

t.test('reads text and bytes with one token; a 404 is undefined', async (t) => {
  const { imds: fake, proxy } = await startMetadata(t);
  const bytes = Buffer.from([0, 0xff, 0x1f, 0x8b, 0x0a, 0xc3, 0x28]);
  fake.setUserData(bytes);
  const imds = createImds(proxy.url, patient);
  const all = await Promise.all([imds.get(instanceId, signal), imds.get('/latest/meta-data/nothing-here', signal), imds.read('/latest/user-data', signal)]);
  t.strictSame(all, ['i-0123456789abcdef0', undefined, bytes]);
  t.equal(proxy.seen(put).length, 1);
  t.equal(proxy.seen(put)[0]?.headers['x-aws-ec2-metadata-token-ttl-seconds'], '21600');
  t.ok(proxy.seen(get).every((seen) => seen.headers['x-aws-ec2-metadata-token']));
});

t.test('F43: a metadata service that is slow, silent or dripping is bounded', async (t) => {
  const { proxy } = await startMetadata(t);
  const imds = createImds(proxy.url, hasty);
  for (const fault of [{ do: 'silence' }, { do: 'stallAfter', bytes: 3 }, { do: 'drip', bytes: 1, everyMs: 60 }] as const) {
    const rule = proxy.fault(get, fault);
    const { thrown, ms } = await timed(imds.get(instanceId, signal));
    t.match(thrown, {
      code: 'IMDS_UNAVAILABLE',
      isTransient: true,
      message: `the instance metadata service at ${proxy.url} does not answer ${instanceId}: no answer within 200 ms`,
    });
    t.ok(ms < 200 + graceMs, `${fault.do}: ${Math.round(ms)} ms`);
    rule.remove();
  }
  t.equal(await createImds(proxy.url, patient).get(instanceId, signal), 'i-0123456789abcdef0');
});

t.test('F43: a 401 renews the token once, and the read succeeds', async (t) => {
  const { imds: fake, proxy } = await startMetadata(t);
  const imds = createImds(proxy.url, patient);
  await imds.get(instanceId, signal);
  fake.expireTokens();
  t.equal(await imds.get(instanceId, signal), 'i-0123456789abcdef0');
  t.same(
    proxy.requests.map((seen) => `${seen.method} ${seen.answered}`),
    ['PUT 200', 'GET 200', 'GET 401', 'PUT 200', 'GET 200'],
  );
});

t.test('F43: many readers that meet a 401 share the new token', async (t) => {
  const { imds: fake, proxy } = await startMetadata(t);
  const imds = createImds(proxy.url, patient);
  await imds.get(instanceId, signal);
  fake.expireTokens();
  await Promise.all(Array.from({ length: 5 }, () => imds.get(instanceId, signal)));
  t.equal(proxy.seen(put).length, 2);
});

t.test('F43: a 401 for ever ends after two tries', async (t) => {
  const { proxy } = await startMetadata(t);
  proxy.fault(get, { do: 'answer', status: 401 });
  await t.rejects(createImds(proxy.url, patient).get(instanceId, signal), { code: 'IMDS_UNAVAILABLE', message: /status 401$/ });
  t.equal(proxy.seen(get).length, 2);
});

t.test('F43: a token is renewed before it expires, so that no read meets a 401', async (t) => {
  const { proxy } = await startMetadata(t);
  const imds = createImds(proxy.url, { ...patient, imdsTokenSeconds: 1 });
  while (proxy.seen(put).length < 2) await imds.get(instanceId, signal);
  t.same(
    proxy.seen(get).filter((seen) => seen.answered === 401),
    [],
  );
  const [first, second] = proxy.seen(put).map((seen) => seen.atMs);
  t.ok((second ?? 0) - (first ?? 0) >= 850);
});

t.test('F43: hop limit too low (the token never arrives) is bounded and never asked without a token', async (t) => {
  const { proxy } = await startMetadata(t);
  const imds = createImds(proxy.url, hasty);
  const rule = proxy.fault(put, { do: 'silence' });
  const { thrown, ms } = await timed(imds.get(instanceId, signal));
  t.match(thrown, { code: 'IMDS_UNAVAILABLE', message: /does not answer \/latest\/api\/token: no answer within 200 ms$/ });
  t.match((thrown as { report: { next: string } }).report.next, /hop limit/);
  t.ok(ms < 200 + graceMs);
  for (const fault of [{ do: 'answer', status: 403 }, { do: 'answer', status: 404 }, { do: 'answer', status: 405 }, { do: 'reset' }] as const) {
    rule.remove();
    const other = proxy.fault(put, fault);
    await t.rejects(imds.get(instanceId, signal), { code: 'IMDS_UNAVAILABLE' });
    other.remove();
  }
  t.equal(proxy.seen(get).length, 0, 'no version 1');
  t.equal(await imds.get(instanceId, signal), 'i-0123456789abcdef0', 'a failed token is not kept');
});

t.test('an answer that is no answer is IMDS_UNAVAILABLE, and nothing is followed or held', async (t) => {
  const { proxy } = await startMetadata(t);
  const imds = createImds(proxy.url, patient);
  for (const [fault, message] of [
    [{ do: 'answer', status: 301, headers: { location: `${proxy.url}/elsewhere` } }, /status 301$/],
    [{ do: 'answer', status: 500 }, /status 500$/],
    [{ do: 'endless' }, /more than 65536 bytes$/],
    [{ do: 'reset' }, /ECONNRESET$/],
    [{ do: 'resetAfter', bytes: 4 }, /ECONNRESET$/],
    [{ do: 'raw', bytes: 'SSH-2.0-x\r\n' }, /HPE_/],
  ] as const) {
    const rule = proxy.fault(get, fault);
    await t.rejects(imds.get(instanceId, signal), { code: 'IMDS_UNAVAILABLE', message }, fault.do);
    rule.remove();
  }
  t.same(proxy.seen({ path: /elsewhere/ }), []);
  await t.rejects(createImds('http://127.0.0.1:1', patient).get(instanceId, signal), { code: 'IMDS_UNAVAILABLE', message: /ECONNREFUSED$/ });
});

t.test('an abort ends a read with its own reason', async (t) => {
  const { proxy } = await startMetadata(t);
  proxy.fault(get, { do: 'silence' });
  const abort = new AbortController();
  const reading = createImds(proxy.url, patient).get(instanceId, abort.signal);
  await proxy.next(get);
  abort.abort(new Error('told to stop'));
  await t.rejects(reading, new Error('told to stop'));
});

t.test('fifty missing paths leave no socket and nothing that keeps a process alive', async (t) => {
  const { proxy } = await startMetadata(t);
  const program = `import { readdirSync, readlinkSync } from 'node:fs';
    import { createImds } from ${JSON.stringify(fileURLToPath(import.meta.resolve('../../agent/imds.ts')))};
    const sockets = () => readdirSync('/proc/self/fd').filter((fd) => { try { return readlinkSync('/proc/self/fd/' + fd).startsWith('socket:') } catch {} }).length;
    const imds = createImds(${JSON.stringify(proxy.url)}, { imdsTimeoutMs: 5_000, imdsTokenSeconds: 60 });
    const before = sockets();
    for (let i = 0; i < 50; i++) await imds.get('/latest/meta-data/spot/instance-action', new AbortController().signal);
    const [left, endedAt] = [sockets() - before, performance.now()];
    process.on('exit', () => console.log(JSON.stringify({ left, aliveMs: Math.round(performance.now() - endedAt) })));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], { timeout: 20_000 });
  const { left, aliveMs } = JSON.parse(stdout);
  // The last one may still be closing.
  t.ok(left <= 2, `${left} sockets left`);
  t.ok(aliveMs < graceMs, `gone ${aliveMs} ms after the last read`);
  t.equal(proxy.seen(get).length, 50);
});
