import { DeleteParameterCommand } from '@aws-sdk/client-ssm';
import t from 'tap';
import { createClients } from '../../../agent/aws.ts';
import { hostPlatform, readRelease } from '../../../agent/boot/release.ts';
import { agentVersion } from '../../../agent/version.ts';
import { jsonError, throttled } from '../../support/faulting-proxy.ts';
import { faultBefore, makeRecord, makeUserData, quickLimits, startCloud } from '../../support/pinned.ts';

const { signal } = new AbortController();
const cloud = await startCloud(t);

async function client(t: Tap) {
  const proxy = await faultBefore(t, cloud.endpoint);
  const { ssm } = createClients(undefined, quickLimits);
  t.teardown(() => ssm.destroy());
  return { proxy, ssm };
}
type Tap = Parameters<typeof faultBefore>[0];

t.test('gives the proven release after one call without decryption', async (t) => {
  const { proxy, ssm } = await client(t);
  const text = JSON.stringify(makeRecord({ config: { GREETING: 3 } }), null, 1);
  const number = await cloud.putRecord(text);
  const userData = makeUserData(number, text);
  t.same(await readRelease(ssm, userData, signal), { ...makeRecord({ config: { GREETING: 3 } }), number, recordSha256: userData.recordSha256 });
  t.same(
    proxy.requests.map((seen) => seen.target),
    ['AmazonSSM.GetParameter'],
  );
  t.same(JSON.parse(String(proxy.requests[0]?.body)), { Name: `/pinion/shop/test/release:${number}`, WithDecryption: false });
});

t.test('F01: a record of another app or environment is refused', async (t) => {
  const { ssm } = await client(t);
  for (const changes of [{ app: 'other' }, { env: 'prod' }]) {
    const text = JSON.stringify(makeRecord(changes));
    const userData = makeUserData(await cloud.putRecord(text), text);
    await t.rejects(readRelease(ssm, userData, signal), {
      code: 'RECORD_FOREIGN',
      isTransient: false,
      message: /belongs to (other\/test|shop\/prod), the user data to shop\/test/,
    });
  }
});

t.test('F01: the release parameter deleted and made again is refused, so that N is never another record', async (t) => {
  const { ssm } = await client(t);
  const released = JSON.stringify(makeRecord({ note: 'the released one' }));
  const number = await cloud.putRecord(released);
  await cloud.ssm.send(new DeleteParameterCommand({ Name: '/pinion/shop/test/release' }));
  // Valid, of this app and environment, with the same number: only the digest tells.
  let again = 0;
  while (again < number) again = await cloud.putRecord(JSON.stringify(makeRecord({ note: 'another' })));
  t.equal(again, number);
  await t.rejects(readRelease(ssm, makeUserData(number, released), signal), { code: 'RECORD_DIGEST_MISMATCH', isTransient: false });
});

t.test('F01: the digest is over the exact bytes and comes before parsing', async (t) => {
  const { ssm } = await client(t);
  const text = JSON.stringify(makeRecord());
  const number = await cloud.putRecord(`${text}\n`);
  await t.rejects(readRelease(ssm, makeUserData(number, text), signal), { code: 'RECORD_DIGEST_MISMATCH' });
  const garbage = await cloud.putRecord('not JSON');
  await t.rejects(readRelease(ssm, makeUserData(garbage, text), signal), { code: 'RECORD_DIGEST_MISMATCH' });
  await t.rejects(readRelease(ssm, makeUserData(garbage, 'not JSON'), signal), { code: 'RECORD_INVALID', message: /at \/: is not JSON/ });
});

t.test('a record that this agent cannot take is refused with what it needs', async (t) => {
  const { ssm } = await client(t);
  const refusal = async (record: object) => {
    const text = JSON.stringify(record);
    return readRelease(ssm, makeUserData(await cloud.putRecord(text), text), signal);
  };
  await t.rejects(refusal({ ...makeRecord(), schemaVersion: 2, unheardOf: true }), { code: 'RECORD_NEWER', message: /schema version 2; this agent reads 1/ });
  await t.rejects(refusal({ ...makeRecord(), artifact: { ...makeRecord().artifact, sizeBytes: 'big' } }), {
    code: 'RECORD_INVALID',
    message: /at \/artifact\/sizeBytes: /,
  });
  await t.rejects(refusal(makeRecord({ config: { PINION_RELEASE: 1 } })), { code: 'RECORD_INVALID', message: /at \/config/ });
  await t.rejects(refusal([]), { code: 'RECORD_INVALID' });
  await t.rejects(refusal(makeRecord({ minAgent: '99.0.0' })), {
    code: 'AGENT_TOO_OLD',
    message: new RegExp(`needs agent 99.0.0; this one is ${agentVersion}`),
  });
  await t.rejects(refusal(makeRecord({ platform: 'linux_s390x' })), {
    code: 'PLATFORM_MISMATCH',
    message: new RegExp(`linux_s390x; this host is ${hostPlatform}`),
  });
  const [major, minor, patch] = agentVersion.split('.').map(Number) as [number, number, number];
  for (const tooNew of [`${major}.${minor}.${patch + 1}`, `${major}.${minor + 1}.0`, `${major + 1}.0.0`]) {
    await t.rejects(refusal(makeRecord({ minAgent: tooNew })), { code: 'AGENT_TOO_OLD' });
  }
  for (const older of ['0.0.99', agentVersion]) await t.resolves(refusal(makeRecord({ minAgent: older })));
});

t.test('a version that does not exist is permanent; a service that does not answer is not', async (t) => {
  const { proxy, ssm } = await client(t);
  const text = JSON.stringify(makeRecord());
  const number = await cloud.putRecord(text);
  const userData = makeUserData(number, text);
  await t.rejects(readRelease(ssm, makeUserData(number + 50, text), signal), { code: 'RECORD_MISSING', isTransient: false });
  await t.rejects(readRelease(ssm, { ...userData, env: 'nowhere' }, signal), { code: 'RECORD_MISSING', message: /nowhere\/release has no version/ });
  for (const [fault, expected] of [
    [throttled, { code: 'SSM_THROTTLED', isTransient: true }],
    [
      jsonError('AccessDeniedException', 'arn:aws:sts::1:assumed-role/x is not authorized to perform: ssm:GetParameter'),
      { code: 'SSM_DENIED', isTransient: false },
    ],
    [jsonError('InternalServerError', '', 500), { code: 'SSM_UNAVAILABLE', message: /500 InternalServerError/ }],
    [
      { do: 'answer', status: 503, body: '<html>' },
      { code: 'SSM_UNAVAILABLE', isTransient: true },
    ],
    [{ do: 'answer', status: 200, body: '{"Parameter": {"Val' }, { code: 'SSM_UNAVAILABLE' }],
    [{ do: 'reset' }, { code: 'SSM_UNAVAILABLE', message: /ECONNRESET/ }],
    [{ do: 'resetAfter', bytes: 10 }, { code: 'SSM_UNAVAILABLE' }],
    [{ do: 'silence' }, { code: 'SSM_UNAVAILABLE', message: /ETIMEDOUT/ }],
    [
      { do: 'stallAfter', bytes: 10 },
      { code: 'SSM_UNAVAILABLE', message: /TimeoutError/ },
    ],
    [{ do: 'flip', offset: 150 }, { code: /RECORD_DIGEST_MISMATCH|SSM_UNAVAILABLE/ }],
  ] as const) {
    const before = proxy.requests.length;
    const rule = proxy.fault({ target: 'AmazonSSM.GetParameter' }, fault);
    await t.rejects(readRelease(ssm, userData, signal), expected, JSON.stringify(fault));
    t.equal(proxy.requests.length, before + 1, 'one attempt a call');
    rule.remove();
  }
  await t.resolves(readRelease(ssm, userData, signal));
});

t.test('an abort ends the call with its own reason', async (t) => {
  const { proxy, ssm } = await client(t);
  proxy.fault({}, { do: 'silence' });
  const abort = new AbortController();
  const reading = readRelease(ssm, makeUserData(1, ''), abort.signal);
  await proxy.next({});
  abort.abort(new Error('told to stop'));
  await t.rejects(reading, new Error('told to stop'));
});
