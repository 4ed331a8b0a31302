import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import t from 'tap';
import { requireFreePort } from '../../agent/port.ts';

const host = '127.0.0.1';

t.test('S13: a taken port is named with its holder, a free one is left free', async (t) => {
  const server = createServer().listen(0, host);
  t.teardown(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await requireFreePort({ host, port: 0 });
  await t.rejects(requireFreePort({ host, port }), { code: 'PORT_IN_USE', message: new RegExp(`127.0.0.1:${port} is held by .*pid ${process.pid}`) });
});

t.test('an address that is not this host’s is not called taken', async (t) => {
  await t.rejects(requireFreePort({ host: '192.0.2.1', port: 0 }), { code: 'APP_SPAWN_FAILED', message: /EADDRNOTAVAIL/ });
});
