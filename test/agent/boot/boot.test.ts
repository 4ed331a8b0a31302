/** The whole boot in this process: real clients, moto, and a proxy that makes one half fail while the other is at work. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { inspect } from 'node:util';
import t from 'tap';
import { createClients } from '../../../agent/aws.ts';
import { boot } from '../../../agent/boot/boot.ts';
import { releasePaths } from '../../../agent/boot/release-paths.ts';
import type { Limits } from '../../../agent/limits.ts';
import type { BootEvent } from '../../../contract/events.ts';
import { compress, end, leftIn, manifest, rawEntry, rawFolder } from '../../support/archive-bytes.ts';
import { throttled, xmlError } from '../../support/faulting-proxy.ts';
import { faultBefore, makeRecord, makeUserData, quickLimits, startCloud } from '../../support/pinned.ts';
import { startBucket } from '../../support/s3-artifact.ts';

type Tap = Parameters<typeof faultBefore>[0] & { testdir(): string };

const cloud = await startCloud(t);
const bucket = await startBucket(t, cloud.endpoint);
const appText = 'app = print\n';
/** An artifact in the bucket whose manifest asks for the names of `config`. */
async function stored(config: Readonly<Record<string, number>>) {
  const contents = JSON.stringify({ ...manifest, config: Object.keys(config) });
  const entries = [rawEntry({ name: 'manifest.json', contents }), rawFolder('app'), rawEntry({ name: 'app/app.py', contents: appText }), end];
  return { ...(await bucket.put(compress(Buffer.concat(entries)))), files: 2, unpackedBytes: contents.length + appText.length };
}
const values = new Map(Array.from({ length: 25 }, (_, index) => [`NAME_${index}`, `s3cret-${index}`]));
for (const [name, value] of values) await cloud.putConfig(name, value);

const configCalls = { target: 'AmazonSSM.GetParameters' };
const gets = { method: 'GET' };
/** Far below the budget, far above what an abort takes. */
const promptMs = 3_000;
/** A retry or a stall that is waited for would be seen: by this chance each wait takes 7 s. */
t.intercept(Math, 'random', { value: () => 0.9 });
const slow = { retryBaseMs: 8_000, retryCapMs: 8_000, stallWindowMs: 60_000, requestTimeoutMs: 60_000 };

type Options = { readonly config: Readonly<Record<string, number>>; readonly key?: string; readonly limits?: Partial<Limits>; readonly stop?: AbortSignal };
const firstNames = (count: number) => Object.fromEntries([...values.keys()].slice(0, count).map((name) => [name, 1]));

/** A host before a proxy, and a way to boot a release with these versions of config on it. */
async function host(t: Tap) {
  const proxy = await faultBefore(t, cloud.endpoint);
  const folder = t.testdir();
  const [stateFolder, runtimeFolder] = [join(folder, 'state'), join(folder, 'run')];
  const events: BootEvent[] = [];
  const retried = Promise.withResolvers<void>();
  const say = (event: BootEvent) => {
    events.push(event);
    if (event.event === 'phase-retried') retried.resolve();
  };
  const run = async ({ config, key, limits: changes = {}, stop = new AbortController().signal }: Options) => {
    const limits = { ...quickLimits, ...changes };
    const artifact = await stored(config);
    const text = JSON.stringify(makeRecord({ artifact: { ...artifact, ...(key !== undefined && { key }) }, config }));
    const userData = makeUserData(await cloud.putRecord(text), text);
    const path = join(folder, 'user-data');
    writeFileSync(path, JSON.stringify(userData));
    const clients = createClients(undefined, limits);
    t.teardown(async () => {
      clients.ssm.destroy();
      (await clients.s3()).destroy();
    });
    const settings = { stateFolder, runtimeFolder, appFolder: runtimeFolder, interpreter: process.execPath, bind: '127.0.0.1:8000', credentialsPort: 8082 };
    return boot({ identity: { kind: 'file', path }, ...clients, ...settings }, limits, say, stop);
  };
  return { proxy, stateFolder, runtimeFolder, events, firstRetry: retried.promise, run };
}

for (const count of [0, 10, 25]) {
  t.test(`a boot of ${count} names takes 1 + ⌈${count}/10⌉ calls of Parameter Store and 1 of S3, and gives no value away`, async (t) => {
    const { proxy, stateFolder, runtimeFolder, events, run } = await host(t);
    const launch = await run({ config: firstNames(count) });
    t.match(launch, { app: 'shop', env: 'test', instance: 'local', commit: '0123abc', config: firstNames(count), manifest: { entryPoint: 'app:app' } });
    t.notMatch(inspect([structuredClone(launch), launch, events], { depth: 9, showHidden: true }), /s3cret/);
    t.equal(proxy.seen({ target: 'AmazonSSM.GetParameter' }).length, 1);
    t.equal(proxy.seen(configCalls).length, Math.ceil(count / 10));
    t.equal(proxy.seen(gets).length, 1);
    t.equal(proxy.requests.length, 2 + Math.ceil(count / 10), 'and nothing else');
    t.equal(readFileSync(join(stateFolder, 'current', 'app', 'app.py'), 'utf8'), appText);
    const environment = readFileSync(join(runtimeFolder, 'app.env'), 'utf8');
    t.ok([...values].slice(0, count).every(([name, value]) => environment.includes(`${name}="${value}"\n`)));
    const ended = events.flatMap((event) => (event.event === 'phase-ended' ? [event.phase] : []));
    t.same(ended.sort(), ['config', 'download', 'identity', 'installed', 'prepare', 'release', 'unpack']);
  });
}

t.test('config that fails for good ends a download that hangs: its cause is told, promptly, and nothing is left', async (t) => {
  for (const fault of [{ do: 'silence' }, { do: 'stallAfter', bytes: 10 }] as const) {
    const { proxy, stateFolder, runtimeFolder, run } = await host(t);
    proxy.fault(gets, fault);
    const held = proxy.fault(configCalls, { do: 'hold' });
    const asked = proxy.next(gets);
    const config = { NAME_0: 1, NAME_1: 99 };
    const booting = run({ config, limits: slow });
    await asked;
    const { partialFile } = releasePaths(stateFolder, await stored(config));
    while (fault.do === 'stallAfter' && statSync(partialFile).size < fault.bytes) await setImmediate();
    const startedAt = performance.now();
    held.release();
    await t.rejects(booting, { code: 'CONFIG_MISSING', message: /NAME_1:99/ }, fault.do);
    t.ok(performance.now() - startedAt < promptMs, `after ${Math.round(performance.now() - startedAt)} ms`);
    t.same(leftIn(stateFolder), []);
    t.notOk(existsSync(runtimeFolder), 'the app is not touched');
  }
});

t.test('config that fails for good ends a download that waits for a retry, of its own or of its phase', async (t) => {
  for (const downloadConnections of [12, 1]) {
    const { proxy, stateFolder, firstRetry, run } = await host(t);
    proxy.fault(gets, xmlError('SlowDown', 503));
    const held = proxy.fault(configCalls, { do: 'hold' });
    const asked = proxy.next(gets);
    const booting = run({ config: { NAME_1: 99 }, limits: { ...slow, downloadConnections } });
    await (downloadConnections === 1 ? firstRetry : asked);
    const startedAt = performance.now();
    held.release();
    await t.rejects(booting, { code: 'CONFIG_MISSING', message: /NAME_1:99/ }, `${downloadConnections} connections`);
    t.ok(performance.now() - startedAt < promptMs, `after ${Math.round(performance.now() - startedAt)} ms`);
    t.same(leftIn(stateFolder), []);
  }
});

t.test('a download that fails for good ends config that is being throttled: its cause is told, promptly', async (t) => {
  const { proxy, stateFolder, firstRetry, run } = await host(t);
  proxy.fault(configCalls, throttled);
  const held = proxy.fault(gets, { do: 'hold' });
  const booting = run({ config: firstNames(3), key: 'shop/none', limits: slow });
  await firstRetry;
  const startedAt = performance.now();
  held.release();
  await t.rejects(booting, { code: 'ARTIFACT_MISSING', message: /shop\/none/ });
  t.ok(performance.now() - startedAt < promptMs, `after ${Math.round(performance.now() - startedAt)} ms`);
  t.same(leftIn(stateFolder), []);
});

t.test('F38: batches that were read before a throttled one are not asked for again', async (t) => {
  const { proxy, events, run } = await host(t);
  const rule = proxy.fault({ ...configCalls, nth: [1, 2] }, throttled);
  await run({ config: firstNames(25) });
  t.equal(rule.used, 2);
  t.match(
    events.find(({ event }) => event === 'phase-retried'),
    { phase: 'config', cause: 'SSM_THROTTLED' },
  );
  t.equal(proxy.seen(configCalls).length, 5, 'three batches, and two of them again');
  const answered = proxy.seen(configCalls).filter((seen) => seen.answered === 200);
  const names = answered.flatMap((seen): string[] => JSON.parse(String(seen.body)).Names);
  t.equal(names.length, 25);
  t.equal(new Set(names).size, 25, 'each is answered once');
});

t.test('a stop ends both halves with its own reason, and nothing is left', async (t) => {
  const { proxy, stateFolder, run } = await host(t);
  proxy.fault(gets, { do: 'silence' });
  proxy.fault(configCalls, { do: 'silence' });
  const asked = Promise.all([proxy.next(gets), proxy.next(configCalls)]);
  const stop = new AbortController();
  const booting = run({ config: firstNames(1), limits: slow, stop: stop.signal });
  await asked;
  stop.abort(new Error('stopped'));
  await t.rejects(booting, new Error('stopped'));
  t.same(leftIn(stateFolder), []);
});
