import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { promisify } from 'node:util';
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import fc from 'fast-check';
import t from 'tap';
import { createClients } from '../../../agent/aws.ts';
import { download, type VerifiedFile } from '../../../agent/boot/download.ts';
import { releasePaths, releasesFolder } from '../../../agent/boot/release-paths.ts';
import type { unpack } from '../../../agent/boot/unpack.ts';
import { createImds } from '../../../agent/imds.ts';
import type { Limits } from '../../../agent/limits.ts';
import type { Artifact } from '../../../contract/release.ts';
import { leftIn } from '../../support/archive-bytes.ts';
import { type Fault, type SeenRequest, xmlError } from '../../support/faulting-proxy.ts';
import { faultBefore, quickLimits, sha256, startMetadata, useEnvironment } from '../../support/pinned.ts';
import { startBucket } from '../../support/s3-artifact.ts';

const { signal } = new AbortController();
const bucket = await startBucket(t);
const bytes = randomBytes(300_000);
const artifact = await bucket.put(bytes);
const limits: Limits = { ...quickLimits, retryBaseMs: 1, retryCapMs: 4, stallWindowMs: 150, stallFloorBytesPerSecond: 10_000, downloadConnections: 4 };
type Tap = Parameters<typeof faultBefore>[0] & { testdir(): string };

async function host(t: Tap) {
  const proxy = await faultBefore(t, bucket.endpoint);
  const s3 = await createClients(undefined, limits).s3();
  t.teardown(() => s3.destroy());
  const state = t.testdir();
  return {
    proxy,
    state,
    get: (wanted: Artifact = artifact, changes: Partial<Limits> = {}, stop = signal) => download(s3, wanted, state, { ...limits, ...changes }, stop),
  };
}
const gets = { method: 'GET' } as const;
const ranges = (seen: readonly SeenRequest[]) => seen.map(({ headers }) => headers.range);
const isWhole = (file: VerifiedFile, expected = bytes) => readFileSync(file.path).equals(expected);

t.test('one GetObject by version when nothing fails', async (t) => {
  const { proxy, state, get } = await host(t);
  const file = await get();
  t.ok(isWhole(file));
  t.same(leftIn(state), [`${artifact.sha256}.tar.zst.partial`]);
  t.equal(proxy.requests.length, 1);
  t.match(proxy.requests[0], {
    method: 'GET',
    path: new RegExp(`/artifacts/${artifact.key}\\?.*versionId=${artifact.versionId}`),
    headers: { range: undefined },
  });
});

t.test('nothing but a download makes a verified file', async () => {
  const take = (_file: Parameters<typeof unpack>[0]) => {};
  // @ts-expect-error a path alone is not verified
  take({ path: '/tmp/archive' });
});

t.test('F04: a body without end is left at the size of the record, whatever Content-Length says', async (t) => {
  for (const contentLength of [undefined, bytes.length, bytes.length + 10_000_000, 1e12]) {
    await t.test(`Content-Length ${contentLength}`, async (t) => {
      const { proxy, state, get } = await host(t);
      proxy.fault(gets, contentLength === undefined ? { do: 'endless' } : { do: 'endless', contentLength });
      if (contentLength === bytes.length) {
        // What follows is no HTTP: where it comes with the last bytes, Node's parser may drop those too, and they are asked for again.
        t.ok(isWhole(await get()), 'what lies beyond is never read');
      } else {
        await t.rejects(get(), { code: 'ARTIFACT_SIZE_MISMATCH', isTransient: false });
        t.same(leftIn(state), []);
        t.equal(proxy.requests.length, 1, 'at once');
      }
    });
  }
});

t.test('F04: an object of another size than the record says is refused by its length alone', async (t) => {
  for (const change of [-1, 1]) {
    const { proxy, state, get } = await host(t);
    const failure = {
      code: 'ARTIFACT_SIZE_MISMATCH',
      isTransient: false,
      message: new RegExp(`has ${bytes.length} bytes, the record says ${bytes.length + change}`),
    };
    await t.rejects(get({ ...artifact, sizeBytes: bytes.length + change }), failure);
    t.equal(proxy.requests.length, 1);
    t.same(leftIn(state), []);
  }
  const { proxy, get } = await host(t);
  proxy.fault(gets, { do: 'shorten', bytes: 1000 });
  await t.rejects(get(), { code: 'ARTIFACT_SIZE_MISMATCH', message: /has 1000 bytes/ });
});

t.test('F05: a byte a second is cut off and resumed by range under the same ETag', async (t) => {
  const { proxy, get } = await host(t);
  proxy.fault({ ...gets, nth: 1 }, { do: 'drip', bytes: 1, everyMs: 20 });
  const file = await get();
  t.ok(isWhole(file));
  t.equal(proxy.requests.length, 2);
  t.match(proxy.requests[1]?.headers, { range: /^bytes=[1-9]\d?-$/, 'if-match': /^"[0-9a-f]+"$/ });
});

t.test('F05: a body that stops is resumed; one that always stops ends as a transient cause', async (t) => {
  const { proxy, get } = await host(t);
  const rule = proxy.fault({ ...gets, nth: [1, 2] }, { do: 'stallAfter', bytes: 70_000 });
  t.ok(isWhole(await get()));
  t.equal(rule.used, 2);
  const again = await host(t);
  again.proxy.fault(gets, { do: 'stallAfter', bytes: 10 });
  await t.rejects(again.get(), { code: 'DOWNLOAD_STALLED', isTransient: true, message: /under 10000 bytes\/s, 40 of 300000 bytes so far/ });
  t.equal(again.proxy.requests.length, limits.downloadConnections);
  t.same(leftIn(again.state), []);
});

t.test('F05: a service that stops even before the headers is bounded too', async (t) => {
  const { proxy, get } = await host(t);
  proxy.fault({ ...gets, nth: 1 }, { do: 'silence' });
  t.ok(isWhole(await get()));
});

t.test('F06: a bit flipped in transit is fetched once more, and then accepted', async (t) => {
  const { proxy, get } = await host(t);
  proxy.fault({ ...gets, nth: 1 }, { do: 'flip', offset: 250_000 });
  t.ok(isWhole(await get()));
  t.same(ranges(proxy.requests), [undefined, undefined], 'from the start');
});

t.test('F06: a bit flipped at rest is refused after the second fetch, and nothing is left', async (t) => {
  const { proxy, state, get } = await host(t);
  proxy.fault(gets, { do: 'flip', offset: 0 });
  await t.rejects(get(), { code: 'ARTIFACT_DIGEST_MISMATCH', isTransient: false, message: new RegExp(`the record says ${artifact.sha256}`) });
  t.equal(proxy.requests.length, 2);
  t.same(leftIn(state), []);
});

t.test('F06: a bit flipped before a break is found in the whole', async (t) => {
  const { proxy, get } = await host(t);
  proxy.fault({ ...gets, nth: 1 }, { do: 'stallAfter', bytes: 100_000 });
  proxy.fault({ ...gets, nth: 2 }, { do: 'flip', offset: 5 });
  t.ok(isWhole(await get()));
  t.same(ranges(proxy.requests), [undefined, 'bytes=100000-', undefined]);
});

t.test('F07: an object written over under the same key is still the one that was released', async (t) => {
  const { get } = await host(t);
  const first = randomBytes(5000);
  const released = await bucket.put(first, 'shop/same-key');
  const later = await bucket.put(randomBytes(5000), 'shop/same-key');
  t.ok(isWhole(await get(released), first));
  await t.rejects(get({ ...released, versionId: later.versionId }), { code: 'ARTIFACT_DIGEST_MISMATCH' }, 'and the digest decides');
  await bucket.s3.send(new DeleteObjectCommand({ Bucket: 'artifacts', Key: 'shop/same-key' }));
  t.ok(isWhole(await get(released), first), 'behind a delete marker, too');
});

t.test('what S3 says about the object ends it at once', async (t) => {
  const cases: readonly [string, Fault, string][] = [
    ['NoSuchKey', xmlError('NoSuchKey', 404), 'ARTIFACT_MISSING'],
    ['NoSuchVersion', xmlError('NoSuchVersion', 404), 'ARTIFACT_MISSING'],
    ['NoSuchBucket', xmlError('NoSuchBucket', 404), 'ARTIFACT_MISSING'],
    ['delete marker', xmlError('MethodNotAllowed', 405), 'ARTIFACT_MISSING'],
    ['no version id', xmlError('InvalidArgument', 400, 'Invalid version id specified'), 'ARTIFACT_MISSING'],
    ['AccessDenied', xmlError('AccessDenied', 403), 'ARTIFACT_DENIED'],
    ['KMS disabled', xmlError('KMS.DisabledException', 400), 'ARTIFACT_DENIED'],
  ];
  for (const [name, fault, code] of cases) {
    await t.test(name, async (t) => {
      const { proxy, state, get } = await host(t);
      proxy.fault(gets, fault);
      const object = `s3://artifacts/${artifact.key}?versionId=${artifact.versionId}`;
      await t.rejects(get(), { code, isTransient: false, message: new RegExp(object.replaceAll(/[.?]/g, '\\$&')) });
      t.equal(proxy.requests.length, 1);
      t.same(leftIn(state), []);
    });
  }
  const { get } = await host(t);
  await t.rejects(get({ ...artifact, key: 'shop/none' }), { code: 'ARTIFACT_MISSING' }, 'as moto says it');
});

t.test('what may pass is tried again, and is transient in the end', async (t) => {
  const cases: readonly [string, Fault, string][] = [
    ['SlowDown', xmlError('SlowDown', 503), 'S3_UNAVAILABLE'],
    ['InternalError', xmlError('InternalError', 500), 'S3_UNAVAILABLE'],
    ['not even XML', { do: 'answer', status: 502, body: '<html>' }, 'S3_UNAVAILABLE'],
    ['reset', { do: 'reset' }, 'S3_UNAVAILABLE'],
    ['not HTTP', { do: 'raw', bytes: 'SSH-2.0-x\r\n' }, 'S3_UNAVAILABLE'],
    ['a clock too far off', xmlError('RequestTimeTooSkewed', 403), 'S3_UNAVAILABLE'],
    ['expired credentials', xmlError('ExpiredToken', 400), 'CREDENTIALS_UNAVAILABLE'],
    ['a chunked body that ends early', { do: 'answer', status: 200, headers: { 'transfer-encoding': 'chunked' }, body: 'short' }, 'S3_UNAVAILABLE'],
  ];
  for (const [name, fault, code] of cases) {
    await t.test(name, async (t) => {
      const { proxy, state, get } = await host(t);
      const rule = proxy.fault(gets, fault);
      await t.rejects(get(), { code, isTransient: true });
      t.equal(rule.used, limits.downloadConnections);
      t.same(leftIn(state), []);
      rule.remove();
      proxy.fault({ ...gets, nth: [1, 2] }, fault);
      t.ok(isWhole(await get()));
    });
  }
});

/** As on a host: the role's credentials are number 1, 2, … of those the metadata service was asked for, each for `validMs`. */
async function hostWithRole(t: Tap, validMs: number) {
  const proxy = await faultBefore(t, bucket.endpoint);
  let given = 0;
  const { proxy: metadata } = await startMetadata(t, () => {
    given++;
    return { accessKeyId: `AKIA${given}`, secretAccessKey: `secret${given}`, sessionToken: `session${given}`, expiration: new Date(Date.now() + validMs) };
  });
  const none = { AWS_REGION: undefined, AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined };
  useEnvironment(t, { ...none, AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url, AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null' });
  const clients = createClients(createImds(metadata.url, limits), limits);
  const s3 = await clients.s3();
  t.teardown(() => {
    s3.destroy();
    clients.ssm.destroy();
  });
  const state = t.testdir();
  return { proxy, get: () => download(s3, artifact, state, limits, signal) };
}
const keyOf = ({ headers }: SeenRequest) => /Credential=([^/]+)/.exec(headers.authorization ?? '')?.[1];

t.test('F44: credentials near their end are replaced between two connections, and the rest is fetched with the new ones', async (t) => {
  const { proxy, get } = await hostWithRole(t, 60_000);
  proxy.fault({ ...gets, nth: 1 }, { do: 'stallAfter', bytes: 100_000 });
  t.ok(isWhole(await get()));
  t.same(ranges(proxy.requests), [undefined, 'bytes=100000-']);
  const [first, second] = proxy.requests.map(keyOf);
  t.match(first, /^AKIA\d$/);
  t.match(second, /^AKIA\d$/);
  t.not(first, second);
  t.match(proxy.requests[1]?.headers, { 'x-amz-security-token': second?.replace('AKIA', 'session') });
});

t.test('F44: credentials that S3 calls expired before their own end are replaced, and the rest is fetched with the new ones', async (t) => {
  const { proxy, get } = await hostWithRole(t, 3_600_000);
  proxy.fault({ ...gets, nth: 1 }, { do: 'stallAfter', bytes: 100_000 });
  proxy.fault(gets, (seen) => (keyOf(seen) === 'AKIA1' && seen.headers.range !== undefined ? xmlError('ExpiredToken', 400) : undefined));
  t.ok(isWhole(await get()));
  t.same(ranges(proxy.requests), [undefined, 'bytes=100000-', 'bytes=100000-']);
  t.same(proxy.requests.map(keyOf), ['AKIA1', 'AKIA1', 'AKIA2']);
});

t.test('an answer that is not the rest begins again from zero', async (t) => {
  const other = randomBytes(bytes.length);
  const whole: Fault = { do: 'answer', status: 200, headers: { 'content-length': String(bytes.length), etag: '"x"' }, body: bytes };
  const cases: readonly [string, Fault][] = [
    ['200 where a range was asked', whole],
    ['412, another ETag', xmlError('PreconditionFailed', 412)],
    ['416', xmlError('InvalidRange', 416)],
    ['another range', { do: 'answer', status: 206, headers: { 'content-range': `bytes 5-299999/300000` }, body: other.subarray(5) }],
  ];
  for (const [name, fault] of cases) {
    await t.test(name, async (t) => {
      const { proxy, get } = await host(t);
      proxy.fault({ ...gets, nth: 1 }, { do: 'stallAfter', bytes: 100_000 });
      proxy.fault({ ...gets, nth: 2 }, fault);
      t.ok(isWhole(await get()));
      t.equal(proxy.requests[1]?.headers.range, 'bytes=100000-');
    });
  }
  const { proxy, get } = await host(t);
  proxy.fault({ ...gets, nth: 1 }, { do: 'stallAfter', bytes: 100_000 });
  proxy.fault({ ...gets, nth: 2 }, { do: 'answer', status: 206, headers: { 'content-range': 'bytes 100000-200000/200001' }, body: 'x' });
  await t.rejects(get(), { code: 'ARTIFACT_SIZE_MISMATCH', message: /has 200001 bytes/ }, 'and a range of something else is refused');
});

t.test('a reset in mid-body is noticed at once, not by the stall timer', async (t) => {
  const { proxy, get } = await host(t);
  proxy.fault({ ...gets, nth: 1 }, { do: 'resetAfter', bytes: 100_000 });
  const startedAt = performance.now();
  t.ok(isWhole(await get(artifact, { stallWindowMs: 20_000 })));
  t.ok(performance.now() - startedAt < 5_000, `${performance.now() - startedAt} ms`);
});

t.test('property: wherever it breaks, the bytes are whole and each was asked for once', async (t) => {
  const { proxy, get } = await host(t);
  const cut = fc.record({ bytes: fc.integer({ min: 0, max: bytes.length }), how: fc.constantFrom('resetAfter', 'stallAfter') });
  await fc.assert(
    fc.asyncProperty(fc.array(cut, { maxLength: 4 }), async (cuts) => {
      const before = proxy.requests.length;
      const rule = proxy.fault(gets, (seen) => {
        const next = cuts[proxy.requests.indexOf(seen) - before];
        return next === undefined ? undefined : { do: next.how as 'resetAfter' | 'stallAfter', bytes: next.bytes };
      });
      const file = await get(artifact, { downloadConnections: cuts.length + 1, stallWindowMs: 200 });
      rule.remove();
      const starts = ranges(proxy.requests.slice(before)).map((range) => Number(/^bytes=(\d+)-$/.exec(range ?? 'bytes=0-')?.[1]));
      // A stall delivers all before it, a reset at most that; from there on, not a byte before it, is asked for.
      const isContiguous = starts.every((start, index) => {
        const [from, cut] = [starts[index - 1], cuts[index - 1]];
        if (from === undefined || cut === undefined) return start === 0;
        return cut.how === 'stallAfter' ? start === from + cut.bytes : start >= from && start <= from + cut.bytes;
      });
      return isWhole(file) && isContiguous;
    }),
    { numRuns: 25 },
  );
});

t.test('stopped on the way, it ends at once with the reason and leaves nothing', async (t) => {
  const { proxy, state, get } = await host(t);
  proxy.fault(gets, { do: 'stallAfter', bytes: 1000 });
  const stop = new AbortController();
  const arrived = proxy.next(gets);
  const result = get(artifact, { stallWindowMs: 60_000 }, stop.signal);
  await arrived;
  const reason = new Error('told to stop');
  setImmediate(() => stop.abort(reason));
  await t.rejects(result, reason);
  t.same(leftIn(state), []);
});

t.test('at the deadline it says what went wrong last', async (t) => {
  const { proxy, get } = await host(t);
  proxy.fault(gets, xmlError('SlowDown', 503));
  const waitForEver = { downloadConnections: 100, retryBaseMs: 60_000, retryCapMs: 60_000 };
  await t.rejects(get(artifact, waitForEver, AbortSignal.timeout(300)), { code: 'S3_UNAVAILABLE' }, 'between connections');
  proxy.fault({ ...gets, nth: 2 }, { do: 'silence' });
  await t.rejects(get(artifact, {}, AbortSignal.timeout(300)), { code: 'S3_UNAVAILABLE', message: /SlowDown/ }, 'in one');
});

t.test('F20: a disk that fills up under the download is told as such, and nothing is left', async (t) => {
  const { state, get } = await host(t);
  mkdirSync(releasesFolder(state));
  symlinkSync('/dev/full', releasePaths(state, artifact).partialFile);
  await t.rejects(get(), { code: 'DISK_FULL', isTransient: false });
  t.same(leftIn(state), []);
});

/** Coverage is no part of a boot's memory. */
const plain = { NODE_V8_COVERAGE: '' };

t.test('its memory does not grow with the artifact: under 150 MB for 300 MB', async (t) => {
  const { proxy, state } = await host(t);
  const large = Buffer.alloc(300_000_000, 'not only zeros');
  proxy.fault(gets, { do: 'answer', status: 200, headers: { 'content-length': String(large.length) }, body: large });
  const wanted = { ...artifact, sha256: sha256(large), sizeBytes: large.length };
  const program = new URL('../../support/s3-download.ts', import.meta.url).pathname;
  const { stdout } = await promisify(execFile)(process.execPath, [program, JSON.stringify(wanted), state], { env: { ...process.env, ...plain } });
  const { peakMb } = JSON.parse(stdout);
  t.ok(peakMb < 150, `peak ${peakMb} MB`);
});

t.test('no connection and no file stays open', async (t) => {
  const openFiles = () => readdirSync('/proc/self/fd').length;
  const { proxy, get } = await host(t);
  await get();
  const before = openFiles();
  for (const bytes of [1, 2, 3]) proxy.fault({ ...gets, nth: bytes }, { do: 'resetAfter', bytes });
  for (let round = 0; round < 10; round++) await get();
  t.ok(openFiles() <= before + 2, `${openFiles()} open, ${before} before`);
});
