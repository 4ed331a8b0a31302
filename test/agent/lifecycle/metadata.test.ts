import t, { type Test } from 'tap';
import { createImds } from '../../../agent/imds.ts';
import { isLeaving, readMembership, readNotices } from '../../../agent/lifecycle/metadata.ts';
import { startImds } from '../../../local/imds.ts';
import { infrastructure } from '../../support/cloud.ts';

const { autoScalingGroup, hooks, times } = infrastructure;
const instance = 'i-0123456789abcdef0';
const base = { schemaVersion: 1, app: 'shop', env: 'test', autoScalingGroup, hooks, times };
const signal = new AbortController().signal;

async function start(t: Test) {
  const credentials = () => ({ accessKeyId: 'A', secretAccessKey: 's', sessionToken: 't', expiration: new Date(0) });
  const local = await startImds({ instance, address: '127.0.0.1', region: 'eu-west-1', roleName: 'r', credentials });
  t.teardown(() => local.stop());
  return { local, imds: createImds(local.endpoint, { imdsTimeoutMs: 5_000, imdsTokenSeconds: 60 }) };
}

t.test('N04: user data without a release names group and hooks; what pinion did not write names none', async (t) => {
  const { local, imds } = await start(t);
  const membershipOf = (text: string | undefined) => {
    local.setUserData(text === undefined ? undefined : Buffer.from(text));
    return readMembership(imds, signal);
  };
  t.match(await membershipOf(JSON.stringify(base)), { instance, group: autoScalingGroup, hooks, times });
  const without = (name: string) => JSON.stringify({ ...base, [name]: undefined });
  const odd = [undefined, '#!/bin/sh', 'null', '[]', '{}', without('autoScalingGroup'), without('hooks'), without('times')];
  for (const text of odd) t.equal(await membershipOf(text), undefined, text ?? 'none');
  t.equal(await membershipOf(JSON.stringify({ ...base, hooks: { launch: 'l' } })), undefined, 'a hook without a name');
  t.equal(await membershipOf(JSON.stringify({ ...base, times: { ...times, launchHeartbeatMs: 'long' } })), undefined, 'a time that is none');
});

t.test('S42, F36: Terminated or a Spot notice ends an instance, a rebalance recommendation does not; one token serves all', async (t) => {
  const { local, imds } = await start(t);
  const look = async () => isLeaving(await readNotices(imds, signal));
  t.equal(await look(), false);
  local.set('/latest/meta-data/events/recommendations/rebalance', '{"noticeTime":"2030-01-02T03:04:05Z"}');
  t.equal(await look(), false);
  local.set('/latest/meta-data/spot/instance-action', '{"action":"terminate","time":"2030-01-02T03:04:05Z"}');
  t.equal(await look(), true);
  local.set('/latest/meta-data/spot/instance-action', undefined);
  local.set('/latest/meta-data/autoscaling/target-lifecycle-state', 'Standby');
  t.equal(await look(), false);
  local.set('/latest/meta-data/autoscaling/target-lifecycle-state', 'Terminated');
  t.equal(await look(), true);
  t.equal(local.requests.filter(({ method }) => method === 'PUT').length, 1);
});
