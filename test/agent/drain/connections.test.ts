import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { connectionsTo, watchConnections } from '../../../agent/drain/connections.ts';

/** A listener on one of this machine's addresses that accepts nobody's bytes. */
async function listener(t: Test, host = '127.0.0.1') {
  const accepted: Socket[] = [];
  const server = createServer((socket) => accepted.push(socket)).listen(0, host);
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of accepted) socket.destroy();
    server.close();
  });
  return { server, accepted, host, port: (server.address() as AddressInfo).port };
}
const client = async (t: Test, { host, port }: { host: string; port: number }) => {
  const socket = connect(port, host).on('error', () => {});
  t.teardown(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
};

t.test('counts what is connected to one address and port, nothing else', async (t) => {
  const own = await listener(t);
  t.equal(connectionsTo(own), 0, 'the listener itself is none');
  await client(t, own);
  await client(t, own);
  const neighbour = await listener(t, '127.0.0.2');
  await client(t, neighbour);
  t.equal(connectionsTo(own), 2);
  t.equal(connectionsTo({ host: '127.0.0.2', port: neighbour.port }), 1);
  t.equal(connectionsTo({ host: '127.0.0.3', port: own.port }), 0);
});

t.test('S33: tells once when the last connection is gone, and not after it was stopped', async (t) => {
  const own = await listener(t);
  const socket = await client(t, own);
  let gone = 0;
  const stopped = watchConnections(own, 1, () => t.fail('it was stopped'));
  stopped.stop();
  const told = new Promise<void>((resolve) => {
    watchConnections(own, 1, () => {
      gone++;
      resolve();
    });
  });
  t.equal(gone, 0);
  socket.destroy();
  own.accepted[0]?.destroy();
  await told;
  t.equal(gone, 1);
});
