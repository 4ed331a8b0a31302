import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { type SmokeOrder, smoke } from '../../../pipeline/rollout/smoke.ts';

async function order(t: Test, answer: RequestListener, more: Partial<SmokeOrder> = {}): Promise<SmokeOrder> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const instances = more.instances ?? [];
  return {
    ...{ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, paths: [{ path: '/', status: 200, text: undefined }], release: 7 },
    ...{
      releaseHeader: undefined,
      instanceHeader: undefined,
      instances,
      stillThere: async () => instances,
      budgetMs: 300,
      everyMs: 5,
      timeoutMs: 5_000,
      ...more,
    },
  };
}
const forever = new AbortController().signal;

t.test('every path with its status and text', async (t) => {
  const answer: RequestListener = (request, response) => response.writeHead(request.url === '/login' ? 401 : 200).end(`hello from ${request.url}`);
  const paths = [
    { path: '/', status: 200, text: 'hello' },
    { path: '/login', status: 401, text: undefined },
  ];
  t.match(await smoke(await order(t, answer, { paths }), forever), { passed: true, requests: 2, detail: '2 paths' });
  const wrong = [{ path: '/', status: 200, text: 'good bye' }];
  t.match(await smoke(await order(t, answer, { paths: wrong }), forever), {
    passed: false,
    detail: 'GET / answered without the text that [tool.pinion.smoke] names',
  });
  t.match(await smoke(await order(t, answer, { paths: [{ path: '/login', status: 200, text: undefined }] }), forever), {
    detail: 'GET /login answered 401, not 200',
  });
});

t.test('it is repeated until its budget, and passes as soon as a round is good', async (t) => {
  let asked = 0;
  const late: RequestListener = (_, response) => response.writeHead(++asked < 4 ? 503 : 200).end();
  t.match(await smoke(await order(t, late, { budgetMs: 20_000 }), forever), { passed: true, requests: 4 });
  const before = performance.now();
  t.match(await smoke(await order(t, (_, response) => response.writeHead(503).end()), forever), { passed: false });
  t.ok(performance.now() - before < 5_000);
});

t.test('an answer of another release is not this one', async (t) => {
  const of =
    (header: string | undefined): RequestListener =>
    (_, response) =>
      response.writeHead(200, header === undefined ? {} : { 'X-Release': header }).end();
  t.match(await smoke(await order(t, of('7'), { releaseHeader: 'X-Release' }), forever), { passed: true });
  t.match(await smoke(await order(t, of('6'), { releaseHeader: 'X-Release' }), forever), { detail: 'GET / came from release 6 (X-Release), not 7' });
  t.match(await smoke(await order(t, of(undefined), { releaseHeader: 'X-Release' }), forever), { passed: false, detail: /release unknown/ });
});

t.test('where the app sends its instance, every one of them must have answered', async (t) => {
  const ids = ['i-1', 'i-2', 'i-3'];
  let asked = 0;
  const balanced: RequestListener = (_, response) => response.writeHead(200, { 'X-Instance': ids[asked++ % 3] }).end();
  const instances = { instanceHeader: 'X-Instance', instances: ids };
  t.match(await smoke(await order(t, balanced, instances), forever), { passed: true, requests: 3, detail: '1 path, all 3 instances' });
  const alone: RequestListener = (_, response) => response.writeHead(200, { 'X-Instance': 'i-2' }).end();
  const left = { ...instances, stillThere: async () => ['i-2'] };
  t.match(await smoke(await order(t, alone, left), forever), { passed: true }, 'those that were scaled in meanwhile need not');
  t.match(await smoke(await order(t, alone, instances), forever), { passed: false, detail: 'i-1, i-3 did not answer; 1 of 3 instances did' });
});

t.test('what hangs, and what is not there, is said; an abort ends it', async (t) => {
  t.match(await smoke(await order(t, () => {}, { timeoutMs: 100 }), forever), { passed: false, detail: 'GET / was not answered: nothing within 100 ms' });
  t.match(await smoke({ ...(await order(t, () => {})), url: 'http://127.0.0.1:9/' }, forever), { detail: /GET \/ was not answered: / });
  const stop = new AbortController();
  const asking = smoke(await order(t, () => stop.abort(), { timeoutMs: 10_000, budgetMs: 10_000 }), stop.signal);
  await t.rejects(asking, { name: 'AbortError' });
});
