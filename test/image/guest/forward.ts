import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

type Target = { readonly host: string; readonly port: number };

/** Passes every connection to `host`:`port` on to what `targetOf` names for the caller's address; one for which it names nothing is reset. */
export async function forward(host: string, port: number, targetOf: (caller: string) => Target | undefined) {
  const open = new Set<Socket>();
  const server = createServer((inward) => {
    const target = targetOf((inward.remoteAddress ?? '').replace(/^::ffff:/, ''));
    if (target === undefined) {
      inward.resetAndDestroy();
      return;
    }
    const onward = connect({ ...target, allowHalfOpen: true });
    for (const [from, to] of [
      [inward, onward],
      [onward, inward],
    ] as const) {
      open.add(from);
      // A reset is passed on as a reset, so that a client sees what the server did.
      from.on('error', () => to.resetAndDestroy()).on('close', () => open.delete(from));
      from.pipe(to);
    }
  });
  server.listen({ host, port });
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}
