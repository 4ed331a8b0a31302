/** An instance that its group or Spot ends. */
import { join } from 'node:path';
import t from 'tap';
import { eventually } from '../support/eventually.ts';
import { startFaultingProxy } from '../support/faulting-proxy.ts';
import { get, starts } from '../support/launched.ts';
import { launchMember, type Member, notice, spot, startMember, targetState } from '../support/member.ts';
import { startNotifySocket } from '../support/notify-socket.ts';
import { shortFolder } from '../support/short-folder.ts';
import { all, endsClean, nth, states } from '../support/supervised.ts';

let member: Member;
t.before(async () => {
  member = await startMember(t);
});

t.test('S42: scale-in: not ready first, serves until the balancer has let go, TERM, CONTINUE once; then it stays until it is told to stop', async (t) => {
  const settleMs = 3 * 500;
  const running = await launchMember(t, member, { times: { healthIntervalMs: 500 }, limits: { drainSettleMs: 60_000 } });
  const { agent, imds, group, url } = running;
  await nth(agent, 1, 'lifecycle-action-completed');
  imds.set(targetState, 'Terminated');
  await agent.untilState('draining');
  const drainingAt = performance.now();
  const answers = new Set<string>();
  while (performance.now() - drainingAt < settleMs - 700) {
    answers.add(`${(await agent.readyz()).status}, app ${(await get(`${url}/healthz`)).status}`);
  }
  t.same([...answers], ['503, app 200']);
  t.same(group.asked(), ['complete launch CONTINUE'], 'while it serves the hook is left alone');
  t.match(await nth(agent, 2, 'lifecycle-action-completed'), { hook: 'terminate', result: 'CONTINUE' });
  t.same(states(agent), ['starting', 'ready', 'draining', 'stopped']);
  t.match(all(agent, 'app-exited'), [{ exit: 'exit status 0', wasKilled: false }]);
  const looks = imds.requests.length;
  await eventually(
    () => imds.requests.length,
    (count) => count > looks + 12,
  );
  t.match(await agent.readyz(), { status: 503, body: { state: 'stopped' } }, 'a host must not start it again');
  t.same(group.asked(), ['complete launch CONTINUE', 'complete terminate CONTINUE']);
  t.equal(starts(agent), 1);
  t.same(agent.console, []);
  await endsClean(t, running);
});

t.test('S42: systemd is not told that an agent which stays is stopping: it would kill it after the time of a stop', async (t) => {
  const NOTIFY_SOCKET = join(shortFolder(t), 'notify.sock');
  const peer = await startNotifySocket(t, NOTIFY_SOCKET);
  const running = await launchMember(t, member, { environment: { NOTIFY_SOCKET } });
  await running.agent.untilState('ready');
  running.imds.set(targetState, 'Terminated');
  const messages: string[] = [];
  while (messages.at(-1) !== 'STATUS=stopped') messages.push(await peer.next());
  t.notOk(messages.includes('STOPPING=1'));
  await endsClean(t, running);
});

t.test('S42: a drain longer than a third of the terminate hook renews its heartbeat', async (t) => {
  const running = await launchMember(t, member, { times: { healthIntervalMs: 400, terminateHeartbeatMs: 600 }, limits: { drainSettleMs: 60_000 } });
  const { agent, imds, group } = running;
  await nth(agent, 1, 'lifecycle-action-completed');
  imds.set(targetState, 'Terminated');
  await nth(agent, 2, 'lifecycle-action-completed');
  const beats = group.taken.filter((call) => call === 'heartbeat terminate').length;
  const [drainingMs = 0, stoppedMs = 0] = all(agent, 'state').flatMap(({ to, sinceStartMs }) => (to === 'draining' || to === 'stopped' ? [sinceStartMs] : []));
  t.ok(beats >= 2 && beats <= (stoppedMs - drainingMs) / 200 + 1, `${beats} heartbeats in ${stoppedMs - drainingMs} ms`);
  t.equal(group.taken.at(-1), 'complete terminate CONTINUE', 'none after it');
  t.equal(all(agent, 'lifecycle-heartbeat-recorded').length, beats);
  await endsClean(t, running);
});

t.test('S44: a Spot notice while the app starts: it is ended, nothing is tried again, and the launch is given back', async (t) => {
  const running = await launchMember(t, member, { python: 'import time\ntime.sleep(600)\n' });
  const { agent, group, imds } = running;
  await nth(agent, 1, 'app-started');
  imds.set(spot, notice);
  await nth(agent, 1, 'state', { to: 'stopped' });
  t.match(await nth(agent, 1, 'lifecycle-action-completed'), { hook: 'launch', result: 'ABANDON' });
  t.match(all(agent, 'notice').at(-1), { notice: 'spot-interruption', value: notice });
  t.same(states(agent), ['starting', 'draining', 'stopped']);
  t.equal(starts(agent), 1);
  t.same(group.asked(), ['complete launch ABANDON']);
  await endsClean(t, running);
});

t.test('S44: a Spot notice while it boots breaks the boot off', async (t) => {
  const proxy = await startFaultingProxy(t, member.cloud.endpoint);
  proxy.fault({ target: 'AmazonSSM.GetParameter' }, { do: 'reset' });
  const running = await launchMember(t, member, { cloudUrl: proxy.url, limits: { retryBaseMs: 10, retryCapMs: 20 } });
  const { agent, group, imds } = running;
  await nth(agent, 3, 'phase-retried');
  imds.set(spot, notice);
  await nth(agent, 1, 'state', { to: 'stopped' });
  await nth(agent, 1, 'lifecycle-action-completed');
  t.same(states(agent), ['stopped']);
  t.same(group.asked(), ['complete launch ABANDON']);
  t.equal(starts(agent), 0);
  t.match(await agent.readyz(), { status: 503, body: { state: 'stopped' } });
  await endsClean(t, running);
});

t.test('F36: a Spot notice drains; a rebalance recommendation is told and serving goes on; the hook is answered when the group has noticed', async (t) => {
  const running = await launchMember(t, member);
  const { agent, group, imds, url } = running;
  await nth(agent, 1, 'lifecycle-action-completed');
  imds.set('/latest/meta-data/events/recommendations/rebalance', '{"noticeTime":"2030-01-02T03:04:05Z"}');
  await nth(agent, 1, 'notice', { notice: 'rebalance-recommendation' });
  const looks = imds.requests.length;
  await eventually(
    () => imds.requests.length,
    (count) => count > looks + 12,
  );
  t.match(await agent.readyz(), { status: 200 });
  t.equal((await get(`${url}/healthz`)).status, 200);
  imds.set(spot, notice);
  await agent.untilState('stopped');
  t.same(states(agent).slice(-2), ['draining', 'stopped']);
  t.same(group.asked(), ['complete launch CONTINUE'], 'the group does not know of it yet');
  imds.set(targetState, 'Terminated');
  t.match(await nth(agent, 2, 'lifecycle-action-completed'), { hook: 'terminate' });
  t.equal(all(agent, 'notice').length, 4, 'each notice is told once');
  await endsClean(t, running);
});
