import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Test } from 'tap';
import { answerCall, type Call, type ServiceError } from '../../local/wire/query.ts';

/** What was asked of Auto Scaling, in short: `complete launch CONTINUE`, `heartbeat launch`. */
const short = ({ action, params }: Call) =>
  action === 'RecordLifecycleActionHeartbeat'
    ? `heartbeat ${params.LifecycleHookName}`
    : `complete ${params.LifecycleHookName} ${params.LifecycleActionResult}`;

/** Auto Scaling's two lifecycle actions on 127.0.0.1; `answer` gives the error of a call, or none when it is taken. */
export async function startAutoScaling(t: Pick<Test, 'teardown'>) {
  const calls: Call[] = [];
  const taken: string[] = [];
  const group = { answer: (_call: string): ServiceError | undefined => undefined };
  const server = createServer(async (request, response) => {
    const { status, headers, body } = await answerCall(
      (call) => {
        calls.push(call);
        const error = group.answer(short(call));
        if (error !== undefined) throw error;
        taken.push(short(call));
        return {};
      },
      await text(request),
      'query',
    );
    response.writeHead(status, headers).end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return Object.assign(group, {
    calls,
    taken,
    asked: (instance?: string) => calls.filter(({ params }) => instance === undefined || params.InstanceId === instance).map(short),
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  });
}
