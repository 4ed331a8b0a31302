import { readFileSync } from 'node:fs';

type Address = { readonly host: string; readonly port: number };

/**
 * Established IPv4 connections to one address of this host and one port, those that wait to be accepted included.
 * Source of the columns: proc_net_tcp, Linux kernel documentation (addresses are four bytes in the order of the machine; state 01 is ESTABLISHED).
 */
export function connectionsTo({ host, port }: Address): number {
  const bytes = host
    .split('.')
    .reverse()
    .concat(String(port >> 8), String(port & 255));
  const [a, b, c, d, high, low] = bytes.map((byte) => Number(byte).toString(16).toUpperCase().padStart(2, '0'));
  const wanted = `${a}${b}${c}${d}:${high}${low}`;
  const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n');
  return lines.filter((line) => {
    const [, local, , state] = line.trim().split(/\s+/);
    return state === '01' && local === wanted;
  }).length;
}

/** Undefined where no descriptor is to be had: then nobody knows, and the drain goes on to its deadline. */
function countOf(address: Address): number | undefined {
  try {
    return connectionsTo(address);
  } catch {
    return undefined;
  }
}

/** Calls `onGone` once, when no connection to `address` is left; looks at once and then every `everyMs`, until it is stopped. */
export function watchConnections(address: Address, everyMs: number, onGone: () => void): { stop(): void } {
  let timer: NodeJS.Timeout | undefined;
  const look = () => {
    if (countOf(address) === 0) onGone();
    else timer = setTimeout(look, everyMs);
  };
  look();
  return { stop: () => clearTimeout(timer) };
}
