import type http from 'node:http';
import type { Socket } from 'node:net';
import { Transform, type TransformCallback } from 'node:stream';

/** Lets `bytes` through, then ends the answer, resets its connection, or says nothing more. */
export function cutTo(bytes: number, then: 'end' | 'reset' | 'stall', socket: Socket): Transform {
  let left = bytes;
  const cut = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      if (left > 0) this.push(chunk.subarray(0, left));
      const wasOpen = left > 0 || bytes === 0;
      left = Math.max(0, left - chunk.length);
      if (left === 0 && wasOpen && then === 'reset') resetWhenSent(socket);
      done();
    },
    flush(done) {
      if (then === 'end' || left > 0) done();
    },
  });
  return cut;
}

function resetWhenSent(socket: Socket): void {
  const check = () => (socket.writableLength === 0 ? socket.resetAndDestroy() : socket.once('drain', check));
  setImmediate(check);
}

/** Inverts the byte at `offset`. */
export function flipAt(offset: number): Transform {
  let at = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const index = offset - at;
      at += chunk.length;
      if (index < 0 || index >= chunk.length) return done(null, chunk);
      const wrong = Buffer.from(chunk);
      wrong[index] = (wrong[index] ?? 0) ^ 0xff;
      done(null, wrong);
    },
  });
}

/** Lets `bytes` through every `everyMs`. */
export function drip(bytes: number, everyMs: number, response: http.ServerResponse): Transform {
  let timer: NodeJS.Timeout | undefined;
  response.on('close', () => clearTimeout(timer));
  return new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      let at = 0;
      const drop = () => {
        if (at >= chunk.length) return done();
        this.push(chunk.subarray(at, at + bytes));
        at += bytes;
        timer = setTimeout(drop, everyMs);
      };
      drop();
    },
  });
}

/** The original bytes, then zeros for as long as somebody reads. */
export function endless(answer: http.IncomingMessage, response: http.ServerResponse): void {
  const zeros = Buffer.alloc(65_536);
  const more = () => {
    while (!response.destroyed && response.write(zeros));
    if (!response.destroyed) response.once('drain', more);
  };
  answer.pipe(response, { end: false });
  answer.on('end', more);
}
