import { globSync } from 'node:fs';
import { join } from 'node:path';
import { keyOf, stored } from './stored.ts';

/** The path of the agent's package, built once from what is in the work tree now; fast, as it need not be small. */
export async function agentPackage(): Promise<string> {
  const sources = ['agent/**', 'contract/**', 'packer/deb/**', 'package.json', 'package-lock.json', 'tsconfig.json'];
  const folder = await stored('deb', keyOf([], sources), async (made) => {
    const { buildDeb } = await import('../../../packer/deb/build.ts');
    await buildDeb({ out: made, xz: 0 });
  });
  const [file] = globSync('*.deb', { cwd: folder });
  return join(folder, file ?? 'no package was built');
}
