import t from 'tap';
import { createHistory } from '../../../agent/reporting/history.ts';
import { Failure } from '../../../contract/causes.ts';

const unhealthy = (detail: string) => new Failure('APP_UNHEALTHY', { path: '/healthz', detail }).report;
const result = (detail: string) => ({ isGood: true, hasAnswered: true, detail, latencyMs: 1.6 });

t.test('the same cause again in a row is counted, another is a line of its own, the newest first, ten at most', async (t) => {
  const history = createHistory(() => 0);
  for (const detail of ['a', 'a', 'b', 'a']) history.happened(unhealthy(detail));
  t.match(history.read().causes, [
    { sentence: /: a$/, count: 1 },
    { sentence: /: b$/, count: 1 },
    { sentence: /: a$/, count: 2, firstAt: /Z$/ },
  ]);
  for (let index = 0; index < 50; index++) history.happened(unhealthy(String(index)));
  t.equal(history.read().causes.length, 10);
  t.match(history.read().causes[0], { sentence: /: 49$/ });
});

t.test('the last five probes of this start, with their age', async (t) => {
  let now = 0;
  const history = createHistory(() => now);
  t.same(history.sinceProbes(), { probedMs: 0, goodMs: 0 });
  for (now = 1000; now <= 7000; now += 1000) history.probed(result(`at ${now}`));
  t.same(history.read().probes[0], { agoMs: 1000, isGood: true, detail: 'at 7000', latencyMs: 2 });
  t.equal(history.read().probes.length, 5);
  t.same(history.sinceProbes(), { probedMs: 1000, goodMs: 1000 });
  history.probed({ ...result('bad'), isGood: false });
  t.same(history.sinceProbes(), { probedMs: 0, goodMs: 1000 });
  history.appStarted(7);
  t.same(history.sinceProbes(), { probedMs: 0, goodMs: 0 }, 'an older one says nothing of a new start');
});

t.test('restarts are the starts after the first', async (t) => {
  const history = createHistory(() => 0);
  t.equal(history.read().restarts, 0);
  t.notOk(history.appStarted(7));
  t.equal(history.read().restarts, 0);
  t.ok(history.appStarted(8));
  t.match(history.read(), { restarts: 1, gunicorn: { pid: 8, workers: [] } });
  history.appExited();
  t.notOk('gunicorn' in history.read());
});

t.test('S11: a worker that is gone while others are there was replaced; when all are gone gunicorn is ending', async (t) => {
  const history = createHistory(() => 0);
  t.same(history.workersSeen([1, 2]), [], 'before any start');
  history.appStarted(7);
  t.same(history.workersSeen([11, 12]), []);
  t.same(history.workersSeen([11, 13]), [12]);
  t.same(history.workersSeen([]), []);
  t.same(history.workersSeen([13, 14]), [11]);
  t.equal(history.read().workersReplaced, 2);
  history.appStarted(8);
  t.same(history.workersSeen([21, 22]), [], 'those of a new start replace none');
});
