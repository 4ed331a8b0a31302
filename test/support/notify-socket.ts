import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Test } from 'tap';

/** Plays the service manager: prints every datagram as a line of JSON. A message of the tool's own, which asks whether the others were read, is left out. */
const program = `
import json, socket, sys
peer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
peer.bind(sys.argv[1].replace('@', '\\0', 1))
print('"bound"', flush=True)
while True:
    message = peer.recv(65536).decode()
    if message != 'BARRIER=1':
        print(json.dumps(message), flush=True)
`;

/** A notify socket at `address`, a path or `@` and an abstract name: `next` gives the messages in order. Ends with the test. */
export async function startNotifySocket(t: Test, address: string) {
  const child = spawn('python3', ['-c', program, address], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill());
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => JSON.parse((await lines.next()).value ?? '"ended"');
  await next();
  return { next };
}
