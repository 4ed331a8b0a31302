/** An instance that its group launches: the launch hook, and what an outage of Auto Scaling or the metadata service does to it. */
import t from 'tap';
import { eventually } from '../support/eventually.ts';
import { startFaultingProxy } from '../support/faulting-proxy.ts';
import { get, released, starts } from '../support/launched.ts';
import { denied, instance, launchMember, type Member, notYet, startMember, targetState, throttled } from '../support/member.ts';
import { all, endsClean, nth, states } from '../support/supervised.ts';

let member: Member;
t.before(async () => {
  member = await startMember(t);
});

t.test('S42: the first ready completes the launch hook, with the names of the user data, once', async (t) => {
  const running = await launchMember(t, member);
  const { agent, group, start } = running;
  t.match(await nth(agent, 1, 'lifecycle-action-completed'), { hook: 'launch', result: 'CONTINUE' });
  t.same(states(agent), ['starting', 'ready']);
  const params = { AutoScalingGroupName: 'group', LifecycleHookName: 'launch', InstanceId: instance, LifecycleActionResult: 'CONTINUE' };
  t.same(group.calls, [{ action: 'CompleteLifecycleAction', params }]);
  process.kill((await nth(agent, 1, 'app-started')).pid, 'SIGKILL');
  await nth(agent, 2, 'state', { to: 'ready' });
  await endsClean(t, running);
  const next = start();
  await next.untilState('ready');
  const looks = running.imds.requests.length;
  await eventually(
    () => running.imds.requests.length,
    (count) => count > looks + 12,
  );
  t.same(group.asked(), ['complete launch CONTINUE'], 'nor by the next agent on this instance');
  await endsClean(t, { ...running, agent: next });
});

t.test(
  'N09: ready before Pending:Wait, ended before Terminating:Wait: asked again until the group is there, serving meanwhile, and nobody is alarmed',
  async (t) => {
    let isThere = false;
    const running = await launchMember(t, member, { answer: () => (isThere ? undefined : notYet()) });
    const { agent, imds, group, url } = running;
    await eventually(
      () => group.calls.length,
      (count) => count >= 5,
    );
    t.equal((await agent.readyz()).status, 200);
    t.equal((await get(`${url}/healthz`)).status, 200);
    t.same(group.taken, []);
    isThere = true;
    await nth(agent, 1, 'lifecycle-action-completed');
    isThere = false;
    const before = group.calls.length;
    imds.set(targetState, 'Terminated');
    await eventually(
      () => group.calls.length,
      (count) => count >= before + 5,
    );
    t.match(await agent.readyz(), { status: 503, body: { state: 'stopped' } });
    isThere = true;
    await nth(agent, 2, 'lifecycle-action-completed');
    t.same(group.taken, ['complete launch CONTINUE', 'complete terminate CONTINUE']);
    t.same(all(agent, 'lifecycle-action-failed'), []);
    t.same(agent.console, []);
    await endsClean(t, running);
  },
);

t.test('N09: a hook that never comes is given up after its own time, quietly', async (t) => {
  const running = await launchMember(t, member, { times: { launchHeartbeatMs: 400 }, answer: notYet });
  const { agent, group } = running;
  t.match(await nth(agent, 1, 'lifecycle-action-given-up'), { hook: 'launch', result: 'CONTINUE' });
  const asked = group.calls.length;
  t.ok(asked >= 3, `asked ${asked} times`);
  t.same(agent.console, []);
  process.kill((await nth(agent, 1, 'app-started')).pid, 'SIGKILL');
  await nth(agent, 2, 'state', { to: 'ready' });
  t.equal(group.calls.length, asked, 'and no more');
  await endsClean(t, running);
});

t.test('S43: throttled and denied are asked again, told once each, and harm nothing; without an end the agent gives up at the budget', async (t) => {
  const errors = [throttled, throttled, throttled, denied, denied, denied];
  const times = { deregistrationDelayMs: 200, terminateHeartbeatMs: 300 };
  const running = await launchMember(t, member, { times, answer: () => errors.shift()?.() });
  const { agent, imds, group } = running;
  await nth(agent, 1, 'lifecycle-action-completed');
  t.same(group.taken, ['complete launch CONTINUE']);
  t.equal(group.calls.length, 7);
  t.match(all(agent, 'lifecycle-action-failed'), [
    { cause: 'LIFECYCLE_ACTION_UNAVAILABLE', hook: 'launch', sentence: /CompleteLifecycleAction.*launch.*group.*Throttling/ },
  ]);
  t.match(all(agent, 'failed'), [{ cause: 'LIFECYCLE_ACTION_DENIED' }]);
  await agent.untilConsole();
  t.match(agent.console.join('\n'), /^pinion: LIFECYCLE_ACTION_DENIED: [^\n]+$/);
  t.same([all(agent, 'lifecycle-action-failed').length, all(agent, 'failed').length], [1, 1], 'each once');
  t.equal((await agent.readyz()).status, 200);

  group.answer = throttled;
  imds.set(targetState, 'Terminated');
  t.match(await nth(agent, 1, 'lifecycle-action-given-up'), { hook: 'terminate', result: 'CONTINUE' });
  t.ok(group.calls.length > 10, `${group.calls.length} calls`);
  await endsClean(t, running);
});

t.test('S01: an app object that is missing: ABANDON at once, no retry, and it goes on saying why', async (t) => {
  const missing = await released(t, member.cloud, { source: 'x = 1\n' });
  const userData = JSON.stringify(missing.userData);
  const running = await launchMember(t, member, { userData });
  const { agent, group, imds } = running;
  const completed = await eventually(
    () => all(agent, 'lifecycle-action-completed'),
    (found) => found.length > 0,
  );
  t.match(completed, [{ hook: 'launch', result: 'ABANDON' }]);
  t.match(await agent.readyz(), { status: 503, body: { state: 'failed', cause: 'APP_OBJECT_MISSING' } });
  t.equal(starts(agent), 1);
  imds.set(targetState, 'Terminated');
  await eventually(
    () => group.taken,
    (taken) => taken.length === 2,
  );
  t.same(group.asked(), ['complete launch ABANDON', 'complete terminate CONTINUE'], 'it does not hold up its own end');
  t.match(await agent.readyz(), { status: 503, body: { state: 'stopped', cause: 'APP_OBJECT_MISSING' } });
  await endsClean(t, running);
});

t.test('N04: user data without a release: UNPINNED, ABANDON once', async (t) => {
  const { release: _, recordSha256: __, ...base } = member.app.userData;
  const running = await launchMember(t, member, { userData: JSON.stringify(base) });
  const { agent, group, imds } = running;
  await eventually(
    () => all(agent, 'lifecycle-action-completed'),
    (found) => found.length > 0,
  );
  const looks = imds.requests.length;
  await eventually(
    () => imds.requests.length,
    (count) => count > looks + 12,
  );
  t.same(group.asked(), ['complete launch ABANDON']);
  t.match(await agent.readyz(), { status: 503, body: { state: 'failed', cause: 'UNPINNED' } });
  await endsClean(t, running);
});

t.test('S35: who stops the agent ends no instance: nothing is said to the group', async (t) => {
  const proxy = await startFaultingProxy(t, member.cloud.endpoint);
  proxy.fault({ target: 'AmazonSSM.GetParameter' }, { do: 'reset' });
  // Heartbeats that fail keep the client at hand, so that it could answer at once.
  const running = await launchMember(t, member, { cloudUrl: proxy.url, times: { launchHeartbeatMs: 3 }, answer: throttled });
  const { group } = running;
  await eventually(
    () => group.calls.length,
    (count) => count >= 3,
  );
  await endsClean(t, running);
  t.same([...new Set(group.asked())], ['heartbeat launch']);
});

t.test('F37: a start that progresses renews its heartbeat; one that hangs does not', async (t) => {
  const times = { launchHeartbeatMs: 3 };
  const running = await launchMember(t, member, {
    times,
    python: 'import time\ntime.sleep(600)\n',
    answer: (call) => (call.startsWith('heartbeat') ? undefined : notYet()),
  });
  const { agent, group, imds } = running;
  await nth(agent, 1, 'app-started');
  await eventually(
    () => group.taken.length,
    (count) => count >= 1,
  );
  const look = async () => {
    const looks = imds.requests.length;
    await eventually(
      () => imds.requests.length,
      (count) => count > looks + 12,
    );
    return group.calls.length;
  };
  const settled = await look();
  t.equal(await look(), settled, `${settled} heartbeats while it booted, and none since`);
  t.ok(group.asked().every((call) => call === 'heartbeat launch'));
  await endsClean(t, running);
});

t.test('S46: a metadata service that goes away while it serves is told once, and harms nothing', async (t) => {
  const running = await launchMember(t, member);
  const { agent, group, imds, url } = running;
  await nth(agent, 1, 'lifecycle-action-completed');
  await imds.stop();
  t.match(await nth(agent, 1, 'notices-failed'), { cause: 'IMDS_UNAVAILABLE' });
  t.equal((await agent.readyz()).status, 200);
  t.equal((await get(`${url}/healthz`)).status, 200);
  // A slow machine may have met one outage before.
  t.equal(all(agent, 'notices-failed').length - all(agent, 'notices-recovered').length, 1);
  t.same(group.asked(), ['complete launch CONTINUE']);
  t.same(agent.console, []);
  await endsClean(t, running);
});
