import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import {
  DescribeListenersCommand,
  DescribeLoadBalancerAttributesCommand,
  DescribeLoadBalancersCommand,
  DescribeTargetGroupAttributesCommand,
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import t from 'tap';
import { haproxyProblem, startLoadBalancer } from '../../../local/load-balancer/load-balancer.ts';
import { eventually } from '../../support/eventually.ts';
import { shortFolder } from '../../support/short-folder.ts';
import { needsHaproxy, start } from './start.ts';

const moduleUrl = new URL('../../../local/load-balancer/load-balancer.ts', import.meta.url).href;

t.test('a target is initial, healthy after one good check, unhealthy with the reason, and healthy again after two', needsHaproxy, async (t) => {
  const { startBackend, register, stateOf, untilIs } = await start(t, { healthCheck: { timeoutMs: 300 } });
  const target = await startBackend('silence');
  await register(target);
  t.same(await stateOf(target), { State: 'initial', Reason: 'Elb.InitialHealthChecking', Description: 'Initial health checks in progress' });
  t.same(await untilIs(target, 'unhealthy'), { State: 'unhealthy', Reason: 'Target.Timeout', Description: 'Request timed out' });
  t.equal(target.seen.checks.length >= 2, true, 'one bad check is not enough');

  target.answerHealth(503);
  const mismatch = await eventually(
    () => stateOf(target),
    (is) => is?.Reason !== 'Target.Timeout',
  );
  t.same(mismatch, { State: 'unhealthy', Reason: 'Target.ResponseCodeMismatch', Description: 'Health checks failed with these codes: [503]' });
  target.answerHealth('garbage');
  const broken = await eventually(
    () => stateOf(target),
    (is) => is?.Reason !== 'Target.ResponseCodeMismatch',
  );
  t.same(broken, { State: 'unhealthy', Reason: 'Target.FailedHealthChecks', Description: 'Health checks failed' });

  const before = target.seen.checks.length;
  target.answerHealth(200);
  t.same(await untilIs(target, 'healthy'), { State: 'healthy' });
  t.equal(target.seen.checks.length - before >= 2, true, 'one good check is not enough');
  const good = target.seen.checks.length;
  target.answerHealth(500);
  t.match(await untilIs(target, 'unhealthy'), { Description: 'Health checks failed with these codes: [500]' });
  t.equal(target.seen.checks.length - good >= 2, true, 'one bad check is not enough');
  await target.end();
  const refused = await eventually(
    () => stateOf(target),
    (is) => is?.Reason !== 'Target.ResponseCodeMismatch',
  );
  t.match(refused, { State: 'unhealthy', Reason: 'Target.FailedHealthChecks' });
});

t.test('a new target gets no traffic before its first good check, and needs no second', needsHaproxy, async (t) => {
  const { startBackend, register, untilIs, ask } = await start(t, { healthCheck: { intervalMs: 1_000, timeoutMs: 1_000, unhealthyThreshold: 10 } });
  const target = await startBackend(503);
  await register(target);
  t.equal((await ask()).status, 503, 'a group of new targets only is closed');
  await eventually(
    () => target.seen.checks.length,
    (count) => count > 0,
  );
  t.equal((await ask()).status, 503);
  t.same(target.paths, []);
  const bad = target.seen.checks.length;
  target.answerHealth(200);
  await untilIs(target, 'healthy');
  t.equal(target.seen.checks.length - bad, 1);
  t.equal((await ask()).body, target.id);
  t.match(target.seen.checks[0], { url: '/readyz', method: 'GET', headers: { 'user-agent': 'ELB-HealthChecker/2.0', connection: 'close' } });

  const next = await startBackend(503);
  await register(next);
  for (let sent = 0; sent < 20; sent++) t.equal((await ask()).body, target.id);
  t.same(next.paths, []);
});

t.test('a target whose checks are good is never seen unhealthy', needsHaproxy, async (t) => {
  const { balancer, startBackend, register } = await start(t);
  const states = new Set<string>();
  const watchUntilHealthy = async () => {
    for (let isOver = false; !isOver; ) {
      const all = await balancer.targetGroup.health();
      for (const { state } of all) states.add(state);
      isOver = all.every(({ state }) => state === 'healthy');
    }
  };
  for (let round = 0; round < 8; round++) {
    await register(await startBackend());
    // So many, because it would be wrong for less than a millisecond.
    await Promise.all(Array.from({ length: 8 }, watchUntilHealthy));
  }
  t.same([...states].sort(), ['healthy', 'initial']);
});

t.test('an address that another target had is judged by its own checks', needsHaproxy, async (t) => {
  const { balancer, startBackend, healthy, register, stateOf, ask } = await start(t);
  const old = await healthy();
  await balancer.targetGroup.deregister(old.id);
  const target = await startBackend('silence');
  await register(target);
  await eventually(
    () => target.seen.checks.length,
    (count) => count > 0,
  );
  t.match(await stateOf(target), { State: /initial|unhealthy/ });
  t.same([(await ask()).status, target.paths], [503, []]);
});

t.test('S42: draining lets a slow request end while new ones go elsewhere', needsHaproxy, async (t) => {
  const { balancer, healthy, stateOf, ask, health } = await start(t);
  const [leaving, staying] = [await healthy(), await healthy()];
  const slow = [ask('/held'), ask('/held')];
  await eventually(
    () => [leaving.held.length, staying.held.length],
    ([first, second]) => first === 1 && second === 1,
  );
  staying.release();

  let isGone = false;
  const gone = balancer.targetGroup.deregister(leaving.id).then(() => {
    isGone = true;
  });
  t.same(await stateOf(leaving), { State: 'draining', Reason: 'Target.DeregistrationInProgress', Description: 'Target deregistration is in progress' });
  await eventually(
    () => ask(),
    ({ body }) => body === staying.id,
  );
  const before = leaving.paths.length;
  for (let sent = 0; sent < 20; sent++) t.equal((await ask()).body, staying.id);
  t.equal(leaving.paths.length, before);
  t.equal(isGone, false);
  t.equal(leaving.seen.connections > 0, true);

  leaving.release();
  t.same(
    (await Promise.all(slow)).map(({ status }) => status),
    [200, 200],
  );
  await gone;
  await eventually(
    () => leaving.seen.connections,
    (open) => open === 0,
  );
  t.pass('the balancer keeps no connection to it');
  t.equal((await health()).length, 2, 'listed as draining until the delay is over, as ELB does');
  await balancer.targetGroup.deregister(leaving.id);
  await balancer.targetGroup.deregister('i-unknown');
});

t.test('the deregistration delay cuts what is longer: 502', needsHaproxy, async (t) => {
  const deregistrationDelayMs = 500;
  const { balancer, healthy, ask, health, stateOf } = await start(t, { deregistrationDelayMs });
  const target = await healthy();
  const slow = ask('/held');
  await eventually(
    () => target.held.length,
    (count) => count === 1,
  );
  const startedMs = performance.now();
  await balancer.targetGroup.deregister(target.id);
  t.equal(performance.now() - startedMs >= deregistrationDelayMs, true);
  t.equal((await slow).status, 502);
  t.equal((await ask()).status, 503, 'no target is left');
  t.same(await health(), []);
  t.same(await stateOf(target), { State: 'unused', Reason: 'Target.NotRegistered', Description: 'Target is not registered to the target group' });
  await balancer.targetGroup.register(target.id, target.address);
  await eventually(
    () => ask(),
    ({ status }) => status === 200,
  );
});

t.test('a target that is deregistered while it is being registered never gets traffic, and can be registered anew', needsHaproxy, async (t) => {
  const { balancer, startBackend, healthy, stateOf, untilIs, ask, register } = await start(t);
  const [serving, target] = [await healthy(), await startBackend()];
  const { targetGroup } = balancer;
  await Promise.all([targetGroup.register(target.id, target.address), targetGroup.deregister(target.id)]);
  t.match(await stateOf(target), { State: 'draining' });
  for (let sent = 0; sent < 50; sent++) t.equal((await ask()).body, serving.id);
  t.same(target.paths, []);
  await register(target);
  await register(target);
  await untilIs(target, 'healthy');
  await eventually(
    () => ask(),
    ({ body }) => body === target.id,
  );
});

t.test('no request fails while targets come and go under load, on kept-alive connections', needsHaproxy, async (t) => {
  const { balancer, healthy, ask } = await start(t);
  const serving = [await healthy(), await healthy()];
  const clients = 8;
  const counts = { sent: 0, answered: 0, connections: 0 };
  const failed: unknown[] = [];
  let isOver = false;
  const load = Array.from({ length: clients }, async () => {
    while (!isOver) {
      counts.sent++;
      await ask().then(
        ({ status, isNewConnection }) => {
          counts.answered++;
          if (isNewConnection) counts.connections++;
          if (status !== 200) failed.push(status);
        },
        (error) => failed.push(error),
      );
    }
  });
  for (let round = 0; round < 5 || counts.answered < 1_500; round++) {
    serving.push(await healthy());
    const leaving = serving.shift();
    if (leaving === undefined) throw new Error('nothing serves');
    await balancer.targetGroup.deregister(leaving.id);
    t.equal(leaving.paths.length > 0, true, 'it had traffic');
    await leaving.end();
  }
  isOver = true;
  await Promise.all(load);
  t.same(failed, []);
  t.equal(counts.answered, counts.sent);
  t.equal(counts.answered > 1_000, true, `${counts.answered} requests`);
  t.equal(counts.connections, clients, 'no client had to connect again');
});

t.test('when every target is unhealthy, all of them get traffic', needsHaproxy, async (t) => {
  const { healthy, untilIs, ask, startBackend, register } = await start(t);
  const targets = [await healthy(), await healthy()];
  for (const target of targets) target.answerHealth(503);
  for (const target of targets) await untilIs(target, 'unhealthy');
  // A third that never was healthy, and a fourth that is new.
  const [never, fresh] = [await startBackend(503), await startBackend('silence')];
  await register(never);
  await untilIs(never, 'unhealthy');
  const bodies = new Set<string>();
  await eventually(
    async () => bodies.add((await ask()).body).size,
    (size) => size === 3,
  );
  t.same([...bodies].sort(), [...targets, never].map(({ id }) => id).sort());
  await register(fresh);
  for (let sent = 0; sent < 10; sent++) t.equal((await ask()).status, 200);
  t.same(fresh.paths, []);

  targets[0]?.answerHealth(200);
  await untilIs(targets[0] as (typeof targets)[0], 'healthy');
  for (let sent = 0; sent < 10; sent++) t.equal((await ask()).body, targets[0]?.id, 'closed again');
});

t.test('502, 503 and 504 are the balancer’s, a target’s own 503 passes, and nothing is tried twice', needsHaproxy, async (t) => {
  const { healthy, ask } = await start(t, { idleTimeoutMs: 400 });
  // A kept one may be closed for its age just then.
  const askAnew = (path?: string) => ask(path, false);
  t.equal((await askAnew()).status, 503, 'no target');
  const target = await healthy();
  t.equal((await askAnew('/status/503')).status, 503);
  t.equal((await askAnew('/silent')).status, 504);
  t.same(target.paths, ['/status/503', '/silent']);
  const other = await healthy();
  t.same(
    (await Promise.all([askAnew('/reset'), askAnew('/reset')])).map(({ status }) => status),
    [502, 502],
  );
  await ask();
  await t.rejects(ask('/reset'), { code: 'ECONNRESET' }, 'on a connection that had requests HAProxy says nothing');
  t.equal([...target.paths, ...other.paths].filter((path) => path === '/reset').length, 3, 'one target each');
  await Promise.all([target.endTraffic(), other.endTraffic()]);
  t.equal((await askAnew()).status, 502, 'refused, while its checks are good');
});

t.test('connections are kept on both sides, and those of clients closed when they are idle', needsHaproxy, async (t) => {
  const { healthy, ask, idleConnections } = await start(t, { idleTimeoutMs: 1_000 });
  const target = await healthy();
  const first = await ask('/headers');
  t.match(JSON.parse(first.body), { 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'http', 'x-forwarded-port': /^\d+$/ });
  for (let sent = 0; sent < 10; sent++) t.equal((await ask()).isNewConnection, false);
  t.equal(target.seen.everConnected, 1);
  t.equal(idleConnections(), 1);
  await eventually(idleConnections, (idle) => idle === 0);
  t.equal((await ask()).isNewConnection, true);
});

t.test('DescribeTargetHealth and the rest of what is asked, in AWS’s words', needsHaproxy, async (t) => {
  const { balancer, elb, ports, healthy, health } = await start(t, { deregistrationDelayMs: 30_000 });
  const { targetGroup, loadBalancerArn } = balancer;
  const [first] = [await healthy(), await healthy()];
  t.equal((await health()).length, 2);
  t.same(await health(first.id), [
    { Target: { Id: first.id, Port: ports.traffic }, HealthCheckPort: String(ports.health), TargetHealth: { State: 'healthy' } },
  ]);
  t.match(await health('i-0', first.id), [{ TargetHealth: { State: 'unused' } }, { TargetHealth: { State: 'healthy' } }]);

  const groups = await elb.send(new DescribeTargetGroupsCommand({ TargetGroupArns: [targetGroup.arn] }));
  t.match(groups.TargetGroups, [
    {
      TargetGroupArn: targetGroup.arn,
      TargetGroupName: 'flask',
      Protocol: 'HTTP',
      Port: ports.traffic,
      HealthCheckPort: String(ports.health),
      HealthCheckPath: '/readyz',
      HealthCheckIntervalSeconds: 1,
      HealthyThresholdCount: 2,
      UnhealthyThresholdCount: 2,
      Matcher: { HttpCode: '200' },
      LoadBalancerArns: [loadBalancerArn],
    },
  ]);
  const ofGroup = await elb.send(new DescribeTargetGroupAttributesCommand({ TargetGroupArn: targetGroup.arn }));
  t.same(ofGroup.Attributes, [{ Key: 'deregistration_delay.timeout_seconds', Value: '30' }]);
  t.match((await elb.send(new DescribeLoadBalancersCommand({}))).LoadBalancers, [{ LoadBalancerArn: loadBalancerArn, Type: 'application' }]);
  const ofBalancer = await elb.send(new DescribeLoadBalancerAttributesCommand({ LoadBalancerArn: loadBalancerArn }));
  t.same(ofBalancer.Attributes, [{ Key: 'idle_timeout.timeout_seconds', Value: '20' }]);

  const unknown = `${targetGroup.arn}0`;
  await t.rejects(elb.send(new DescribeTargetHealthCommand({ TargetGroupArn: unknown })), { name: 'TargetGroupNotFoundException' });
  await t.rejects(elb.send(new DescribeTargetGroupsCommand({ Names: ['other'] })), { name: 'TargetGroupNotFoundException' });
  await t.rejects(elb.send(new DescribeLoadBalancersCommand({ Names: ['other'] })), { name: 'LoadBalancerNotFoundException' });
  await t.rejects(elb.send(new DescribeListenersCommand({})), { name: 'NotImplemented', message: 'NotImplemented: DescribeListeners' });
});

t.test('it ends with its signal, and with the process that started it, however that ends', needsHaproxy, async (t) => {
  const { settings } = await start(t);
  const folder = shortFolder(t);
  const abort = new AbortController();
  const balancer = await startLoadBalancer({ settings, folder, region: 'eu-west-1' }, abort.signal);
  abort.abort();
  await balancer.ended;
  t.equal(isRunning(balancer.pid), false);
  await balancer.stop();

  const options = { settings, folder, region: 'eu-west-1' };
  const program = `import { startLoadBalancer } from ${JSON.stringify(moduleUrl)};
    console.log((await startLoadBalancer(${JSON.stringify(options)})).pid);`;
  const parent = spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [said] = await once(parent.stdout, 'data');
  const pid = Number(said);
  t.equal(isRunning(pid), true);
  parent.kill('SIGKILL');
  await eventually(
    () => isRunning(pid),
    (is) => !is,
  );
});

t.test('what keeps it from starting is said', needsHaproxy, async (t) => {
  const { settings, balancer } = await start(t);
  const folder = shortFolder(t);
  const { port } = new URL(balancer.url);
  await t.rejects(startLoadBalancer({ settings, folder, region: 'eu-west-1', port: Number(port) }), { code: 'EADDRINUSE' });
  const healthCheck = { ...settings.healthCheck, path: '/with space' };
  await t.rejects(startLoadBalancer({ settings: { ...settings, healthCheck }, folder, region: 'eu-west-1' }), {
    message: /^HAProxy did not start: .*http-check send/s,
  });
  t.equal(haproxyProblem(), undefined);
});

/** A zombie is none. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
