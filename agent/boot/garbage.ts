import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const everyBytes = 4 * 1024 * 1024;
let collectYoung: ((options: { readonly type: 'minor' }) => void) | undefined;

/**
 * A count of bytes that went through buffers: collects young garbage every 4 MB of them (under 1 ms each). A stream's buffers live outside the heap, where V8
 * lets 64 MB pile up before it looks: a boot of a 300 MB artifact peaked at 180 MB without this, at 110 with it.
 */
export function boundGarbage(): (bytes: number) => void {
  let since = 0;
  return (bytes) => {
    since += bytes;
    if (since < everyBytes) return;
    since = 0;
    collectYoung ??= exposed();
    collectYoung({ type: 'minor' });
  };
}

// Only this way does a program get the function without being started with a flag.
function exposed(): typeof collectYoung & object {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc');
}
