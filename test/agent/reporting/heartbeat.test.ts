import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { startHeartbeat } from '../../../agent/reporting/heartbeat.ts';
import { createNotify } from '../../../agent/reporting/notify.ts';
import { startNotifySocket } from '../../support/notify-socket.ts';
import { useEnvironment } from '../../support/pinned.ts';
import { shortFolder } from '../../support/short-folder.ts';
import { needsTool } from '../../support/tool.ts';

/** A heart that beats every 10 ms over a health port that can be made deaf, and what the service manager hears. */
async function beating(t: Test, more: Record<string, string> = {}) {
  const socket = join(shortFolder(t), 'notify');
  const manager = await startNotifySocket(t, socket);
  const world = { isDeaf: false, isDraining: false, asked: 0 };
  const server = createServer((request, response) => {
    if (request.url === '/livez') world.asked++;
    if (!world.isDeaf) response.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const notify = createNotify({ PATH: process.env.PATH, NOTIFY_SOCKET: socket, ...more }, (detail) => t.fail(detail));
  const health = { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
  const heart = startHeartbeat({ notify, health, isDraining: () => world.isDraining, limits: { heartbeatMs: 10 } });
  t.teardown(async () => {
    heart.stop();
    await notify.end(10_000);
  });
  return { manager, world, heart, notify };
}

t.test('READY once when the health port answers, then a sign of life after each request that went through the loop', async (t) => {
  if (!needsTool(t, 'systemd-notify', 'apt-get install systemd')) return;
  const { manager, world } = await beating(t, { WATCHDOG_USEC: '60000000' });
  t.match(await manager.next(), /^READY=1/);
  for (let beats = 0; beats < 3; beats++) t.equal(await manager.next(), 'WATCHDOG=1');
  t.ok(world.asked >= 3);
});

t.test('no sign of life while the health port does not answer', async (t) => {
  if (!needsTool(t, 'systemd-notify', 'apt-get install systemd')) return;
  const { manager, world, notify } = await beating(t, { WATCHDOG_USEC: '60000000' });
  t.match(await manager.next(), /^READY=1/);
  world.isDeaf = true;
  const before = world.asked;
  while (world.asked < before + 5) await setImmediate();
  await notify.end(10_000);
  notify.status('the end');
  let late = 0;
  for (let said = await manager.next(); said !== 'STATUS=the end'; said = await manager.next()) late += said === 'WATCHDOG=1' ? 1 : 0;
  t.ok(late <= 2, `${late} were on their way`);
});

t.test('while it drains it asks for more time, and without a watchdog it gives no sign', async (t) => {
  if (!needsTool(t, 'systemd-notify', 'apt-get install systemd')) return;
  const { manager, world } = await beating(t);
  t.match(await manager.next(), /^READY=1/);
  world.isDraining = true;
  for (let beats = 0; beats < 3; beats++) t.equal(await manager.next(), 'EXTEND_TIMEOUT_USEC=30000');
});

t.test('without a service manager nobody is asked', async (t) => {
  useEnvironment(t, { NOTIFY_SOCKET: undefined });
  const health = { host: '127.0.0.1', port: 1 };
  const heart = startHeartbeat({ notify: createNotify({}, (detail) => t.fail(detail)), health, isDraining: () => true, limits: { heartbeatMs: 1 } });
  heart.stop();
});
