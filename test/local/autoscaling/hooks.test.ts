import { mock } from 'node:test';
import t from 'tap';
import type { Member } from '../../../local/autoscaling/group.ts';
import { globalTimeoutOf, type Hook, waitForHook } from '../../../local/autoscaling/hooks.ts';

const hook: Hook = { name: 'launch', transition: 'autoscaling:EC2_INSTANCE_LAUNCHING', heartbeatTimeoutS: 30, defaultResult: 'ABANDON', extra: {} };

t.test('S42: a heartbeat begins the time-out anew, up to the global time-out', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  const member = { action: undefined } as Member;
  let result: string | undefined;
  const wait = (some: Hook) => {
    result = undefined;
    return waitForHook(member, some, 1000).then((answer) => {
      result = `${answer.result} ${answer.message.replace(/^.* was abandoned: /, '')}`;
    });
  };
  const first = wait(hook);
  for (let i = 0; i < 99; i++) {
    mock.timers.tick(29_999);
    member.action?.beat();
  }
  await Promise.resolve();
  t.equal(result, undefined, 'ninety-nine times nearly over');
  mock.timers.tick(29_999);
  await Promise.resolve();
  t.equal(result, undefined);
  member.action?.beat();
  mock.timers.tick(100);
  await first;
  t.equal(result, 'ABANDON Heartbeat Timeout', 'a hundred time-outs are the most');
  t.equal(member.action, undefined);
  const second = wait({ ...hook, defaultResult: 'CONTINUE' });
  mock.timers.tick(29_999);
  await Promise.resolve();
  t.equal(result, undefined);
  mock.timers.tick(1);
  await second;
  t.match(result, /^CONTINUE/);
  const third = wait(hook);
  member.action?.settle('CONTINUE', 'done');
  await third;
  t.equal(result, 'CONTINUE done');
  t.equal(globalTimeoutOf(hook), 3000);
  t.equal(globalTimeoutOf({ ...hook, heartbeatTimeoutS: 7200 }), 172_800);
});
