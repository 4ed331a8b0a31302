import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/** A port that nothing listens on at the moment, outside the range the kernel gives to outgoing connections. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    const server = createServer();
    try {
      server.listen({ host, port });
      await once(server, 'listening');
      const taken = (server.address() as AddressInfo).port;
      server.close();
      await once(server, 'close');
      return taken;
    } catch {
      // Taken: try another.
    }
  }
}
