import { readFile } from 'node:fs/promises';
import { command } from './command.ts';

/**
 * Files that give a guest's apt what this machine's has to reach a mirror: proxies, and the certificates that they name. Laid into a bake from
 * outside and taken out after it; an image has neither, and most machines need neither.
 */
export async function aptSettings(): Promise<Readonly<Record<string, string>>> {
  const dumped = await command(['apt-config', 'dump']).catch(() => '');
  const lines = dumped.split('\n').filter((line) => /^Acquire::https?::([^ ]*::)?(Proxy|CAInfo|Verify-\w+) "[^"]/i.test(line));
  const certificates = lines.flatMap((line) => /CAInfo "([^"]+)"/i.exec(line)?.[1] ?? []);
  const files: Record<string, string> = {};
  for (const path of certificates) files[path] = await readFile(path, 'utf8');
  return lines.length === 0 ? {} : { ...files, '/etc/apt/apt.conf.d/00-rehearsal': `${lines.join('\n')}\n` };
}
