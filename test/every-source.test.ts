import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import t from 'tap';

const root = fileURLToPath(new URL('..', import.meta.url));
/** A program does its work when it is loaded; what it is made of is loaded here. */
const programs = new Set(['agent/main.ts', 'agent/boot/main.ts', 'pipeline/main.ts', 'local/start.ts', 'local/rehearsal/rehearse.ts']);

t.test('every source file can be loaded by itself, so that coverage counts the untested ones too', async (t) => {
  const sources = globSync('{agent,contract,local,pipeline}/**/*.ts', { cwd: root });
  for (const file of sources.filter((source) => !programs.has(source))) await import(pathToFileURL(root + file).href);
  for (const program of programs) t.ok(readFileSync(root + program, 'utf8').length > 0, `${program} exists`);
});
