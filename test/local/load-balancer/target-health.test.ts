import t from 'tap';
import type { ServerRow } from '../../../local/load-balancer/runtime.ts';
import { judge, verdictIsIn } from '../../../local/load-balancer/target-health.ts';

const row = (changes: Partial<ServerRow>): ServerRow => ({ status: 'DOWN', requests: 0, checkStatus: 'INI', checkCode: '', checkHealth: 0, ...changes });
const unknown = { state: 'initial' } as const;
const timeout = { state: 'unhealthy', reason: 'Target.Timeout', description: 'Request timed out' } as const;

t.test('why a target is unhealthy, by HAProxy’s check status', async (t) => {
  const cases = {
    L4TOUT: 'Target.Timeout',
    L7TOUT: 'Target.Timeout',
    L4CON: 'Target.FailedHealthChecks',
    L7RSP: 'Target.FailedHealthChecks',
    L7STS: 'Target.ResponseCodeMismatch',
  };
  for (const [checkStatus, reason] of Object.entries(cases)) {
    t.match(judge('in-service', row({ checkStatus, checkCode: '500' }), unknown), { state: 'unhealthy', reason }, checkStatus);
  }
  t.match(judge('in-service', row({ checkStatus: 'L7STS', checkCode: '404' }), unknown), { description: 'Health checks failed with these codes: [404]' });
});

t.test('what is going down is healthy, what is coming up is unhealthy for the reason it had', async (t) => {
  t.same(judge('in-service', row({ status: 'UP 1/2', checkStatus: 'L7STS', checkCode: '500' }), unknown), { state: 'healthy' });
  t.same(judge('in-service', row({ status: 'DOWN 1/2', checkStatus: 'L7OK' }), timeout), timeout);
  t.match(judge('in-service', row({ status: 'DOWN 1/2', checkStatus: 'L7OK' }), { state: 'healthy' }), { reason: 'Target.FailedHealthChecks' });
});

t.test('before and after its service the checks do not matter', async (t) => {
  const good = row({ status: 'UP', checkStatus: 'L7OK' });
  t.match(judge('registering', good, unknown), { state: 'initial', reason: 'Elb.RegistrationInProgress' });
  t.match(judge('initial', good, unknown), { state: 'initial', reason: 'Elb.InitialHealthChecking' });
  t.match(judge('draining', good, unknown), { state: 'draining', reason: 'Target.DeregistrationInProgress' });
});

t.test('a new target: one good check is enough, the threshold of bad ones takes its time', async (t) => {
  const check = { intervalMs: 1_000, timeoutMs: 500, unhealthyThreshold: 3 };
  // What another target left in the slot is no check of this one.
  t.equal(verdictIsIn(row({ checkStatus: 'L7OK' }), 3_499, check), 'no');
  t.equal(verdictIsIn(row({ checkHealth: 1 }), 1, check), 'passed');
  t.equal(verdictIsIn(row({}), 3_500, check), 'failed');
});
