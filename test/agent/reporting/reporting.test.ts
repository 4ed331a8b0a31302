import t from 'tap';
import { defaultLimits } from '../../../agent/limits.ts';
import { createNotify } from '../../../agent/reporting/notify.ts';
import { createReporting, type Voice } from '../../../agent/reporting/reporting.ts';

const mute: Voice = { log() {}, console() {}, lost: () => 0, notify: createNotify({}, () => {}) };
const good = { isGood: true, hasAnswered: true, detail: '200', latencyMs: 1 };

t.test('a worker that is missed after the kernel ended one is told with that, unless gunicorn has said why', async (t) => {
  const { say, history, probed, close } = createReporting(undefined, defaultLimits, mute, () => ({ state: 'ready' }));
  t.teardown(() => close(0));
  const cause = () => history.read().causes[0]?.sentence;
  say({ event: 'app-started', pid: 1 });
  probed(good, [10, 11], () => undefined);
  say({ event: 'app-oom-killed', count: 2 });
  probed(good, [11, 12], () => undefined);
  t.match(cause(), /worker 10 .*: the kernel ended it for want of memory/);
  probed(good, [12, 13], (pid) => `Worker (pid:${pid}) was sent SIGKILL`);
  t.match(cause(), /worker 11 .*: Worker \(pid:11\) was sent SIGKILL/);
  probed(good, [13, 14], () => undefined);
  t.match(cause(), /worker 12 of gunicorn ended and was replaced$/, 'no more than the kernel ended');
  say({ event: 'app-oom-killed', count: 1 });
  say({ event: 'app-exited', exit: 'SIGKILL, out of memory', wasKilled: false });
  say({ event: 'app-started', pid: 2 });
  probed(good, [20, 21], () => undefined);
  probed(good, [21, 22], () => undefined);
  t.match(cause(), /worker 20 of gunicorn ended and was replaced$/, 'nor what ended gunicorn');
});
