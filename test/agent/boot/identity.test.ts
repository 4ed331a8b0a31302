import { existsSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { parseUserData, readIdentity } from '../../../agent/boot/identity.ts';
import { phases } from '../../../agent/boot/phases.ts';
import { createImds } from '../../../agent/imds.ts';
import { makeUserData, quickLimits, startMetadata } from '../../support/pinned.ts';

const { signal } = new AbortController();
const userData = makeUserData(7, 'a record');
const { release: _, recordSha256: __, ...base } = userData;
const text = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));

t.test('from the metadata service: all of it, read side by side', async (t) => {
  const { imds: fake, proxy } = await startMetadata(t);
  fake.setUserData(text(userData));
  const held = proxy.fault({ method: 'GET' }, { do: 'hold' });
  const arrived = Promise.all([/user-data/, /instance-id/, /local-ipv4/].map((path) => proxy.next({ path })));
  const reading = readIdentity({ kind: 'imds', imds: createImds(proxy.url, { ...quickLimits, imdsTimeoutMs: 5_000 }) }, signal);
  await arrived;
  held.release();
  t.same(await reading, { instance: 'i-0123456789abcdef0', address: '127.0.0.9', userData });
});

t.test('from a file: a local instance', async (t) => {
  const folder = t.testdir({ 'user-data.json': JSON.stringify(userData) });
  t.same(await readIdentity({ kind: 'file', path: `${folder}/user-data.json` }, signal), { instance: 'local', address: '127.0.0.1', userData });
  await t.rejects(readIdentity({ kind: 'file', path: `${folder}/none` }, signal), {
    code: 'SETTING_INVALID',
    message: /--user-data is not valid: .*none: ENOENT/,
  });
  await t.rejects(readIdentity({ kind: 'file', path: folder }, signal), { code: 'SETTING_INVALID', message: /EISDIR/ });
});

t.test('N12: user data of every other kind has its own cause, is permanent and is never run', async (t) => {
  const { imds: fake, proxy } = await startMetadata(t);
  const ran = `${t.testdir()}/ran`;
  const source = { kind: 'imds', imds: createImds(proxy.url, quickLimits) } as const;
  const cases: [label: string, code: string, bytes: Buffer | undefined][] = [
    ['none', 'USER_DATA_EMPTY', undefined],
    ['white space', 'USER_DATA_EMPTY', text(' \r\n\t\n')],
    ['a script', 'USER_DATA_SCRIPT', text(`#!/bin/sh\ntouch ${ran}\n`)],
    ['a script after a byte order mark', 'USER_DATA_SCRIPT', text(`\ufeff#!/bin/sh\ntouch ${ran}\n`)],
    ['a script of 5 KB', 'USER_DATA_SCRIPT', text(`#!/bin/sh\ntouch ${ran}\n#${'x'.repeat(5_000)}`)],
    ['cloud-config', 'USER_DATA_CLOUD_CONFIG', text(`#cloud-config\nruncmd: [touch ${ran}]\n`)],
    ['a template', 'USER_DATA_CLOUD_CONFIG', text(`## template: jinja\n#cloud-config\nruncmd: [touch ${ran}]\n`)],
    ['a boothook', 'USER_DATA_CLOUD_CONFIG', text(`#cloud-boothook\n#!/bin/sh\ntouch ${ran}\n`)],
    ['an include', 'USER_DATA_CLOUD_CONFIG', text('#include\nhttp://127.0.0.1:1/x\n')],
    ['a part handler', 'USER_DATA_CLOUD_CONFIG', text('#part-handler\n')],
    [
      'multipart',
      'USER_DATA_MULTIPART',
      text(`Content-Type: multipart/mixed; boundary="b"\nMIME-Version: 1.0\n\n--b\nContent-Type: text/x-shellscript\n\n#!/bin/sh\ntouch ${ran}\n--b--\n`),
    ],
    ['multipart, the other header first', 'USER_DATA_MULTIPART', text('mime-version: 1.0\ncontent-type: multipart/mixed\n')],
    ['gzip', 'USER_DATA_NOT_JSON', gzipSync(JSON.stringify(userData))],
    ['not UTF-8', 'USER_DATA_NOT_JSON', Buffer.from(JSON.stringify({ ...userData, autoScalingGroup: 'é' }), 'latin1')],
    ['not JSON', 'USER_DATA_NOT_JSON', text('{"schemaVersion": 1, hunter2')],
    ['5 KB', 'USER_DATA_TOO_LARGE', text({ ...userData, autoScalingGroup: 'x'.repeat(5_000) })],
    ['5 KB of white space behind it', 'USER_DATA_TOO_LARGE', text(JSON.stringify(userData) + ' '.repeat(5_000))],
    ['a newer schema', 'USER_DATA_NEWER', text({ schemaVersion: 2, anything: 'else' })],
    ['JSON of another kind', 'USER_DATA_INVALID', text([1, 2])],
    ['null', 'USER_DATA_INVALID', text('null')],
    ['an unknown field', 'USER_DATA_INVALID', text({ ...userData, command: 'hunter2' })],
    ['a release without its digest', 'USER_DATA_INVALID', text({ ...base, release: 3 })],
    ['a release that is no number', 'USER_DATA_INVALID', text({ ...userData, release: 'latest' })],
  ];
  for (const [label, code, bytes] of cases) {
    fake.setUserData(bytes);
    const events: string[] = [];
    const phase = phases(quickLimits, ({ event }) => events.push(event), signal);
    const failure = await phase('identity', (s) => readIdentity(source, s)).then(
      () => undefined,
      (thrown) => thrown,
    );
    t.match(failure, { code, isTransient: false, message: /the instance metadata/ }, label);
    t.same(events, ['phase-started'], 'no retry');
    t.notMatch(`${failure?.message} ${failure?.cause}`, /hunter2/);
  }
  t.notOk(existsSync(ran));
});

t.test('N12: the sentence names the place and the problem', async (t) => {
  const message = (value: unknown) => {
    try {
      parseUserData(text(value), '/etc/user-data.json');
    } catch (thrown) {
      return (thrown as Error).message;
    }
    return '';
  };
  t.equal(message({ ...base, release: 0, recordSha256: userData.recordSha256 }).split(':')[0], 'the user data in /etc/user-data.json is not valid at /release');
  t.match(message({ ...userData, times: { ...userData.times, graceMs: '5s' } }), /not valid at \/times\/graceMs: /);
  t.equal(message({ ...userData, schemaVersion: 9 }), 'the user data in /etc/user-data.json has schema version 9; this agent reads 1');
  t.equal(
    message({ ...userData, autoScalingGroup: 'x'.repeat(4_000) }).replace(/\d{4} bytes/, 'N bytes'),
    'the user data in /etc/user-data.json has N bytes; 4096 are allowed',
  );
});

t.test('N04: user data of the base version, without a release, is UNPINNED and permanent', async (t) => {
  const { imds: fake, proxy } = await startMetadata(t);
  fake.setUserData(text(base));
  const events: string[] = [];
  const phase = phases(quickLimits, ({ event }) => events.push(event), signal);
  const source = { kind: 'imds', imds: createImds(proxy.url, quickLimits) } as const;
  await t.rejects(
    phase('identity', (s) => readIdentity(source, s)),
    { code: 'UNPINNED', isTransient: false, message: 'the user data in the instance metadata names no release' },
  );
  t.same(events, ['phase-started']);
});

t.test('F43: a metadata service that comes late is waited for inside the budget', async (t) => {
  const { imds: fake, proxy } = await startMetadata(t);
  fake.setUserData(text(userData));
  proxy.fault({ method: 'PUT', nth: [1, 2] }, { do: 'answer', status: 503 });
  proxy.fault({ path: /local-ipv4/, nth: 1 }, { do: 'answer', status: 404 });
  const events: string[] = [];
  const phase = phases(quickLimits, ({ event }) => events.push(event), signal);
  t.match(await phase('identity', (s) => readIdentity({ kind: 'imds', imds: createImds(proxy.url, quickLimits) }, s)), { address: '127.0.0.9' });
  t.same(events, ['phase-started', 'phase-retried', 'phase-retried', 'phase-retried', 'phase-ended']);
});

t.test('valid user data up to the limit is taken', async (t) => {
  const folder = t.testdir();
  const padded = JSON.stringify(userData).padEnd(4_096, ' ');
  writeFileSync(`${folder}/full`, padded);
  t.match(await readIdentity({ kind: 'file', path: `${folder}/full` }, signal), { userData: { release: 7 } });
});
