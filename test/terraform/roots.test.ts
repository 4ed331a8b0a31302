import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { copyRoot, missingTerraform, repository, roots, succeeds } from './terraform.ts';

const missing = missingTerraform();
const options = missing === undefined ? {} : { skip: missing };

for (const root of roots) {
  if (!existsSync(join(repository, 'terraform', root))) continue;
  t.test(`terraform/${root} is formatted and valid, and its own tests hold`, options, async (t) => {
    const { terraform } = await copyRoot(t, root);
    succeeds(t, await terraform(['fmt', '-check', '-recursive', '-diff', '-no-color']), 'fmt');
    succeeds(t, await terraform(['init', '-backend=false', '-input=false', '-no-color']), 'init');
    succeeds(t, await terraform(['validate', '-no-color']), 'validate');
    const tested = await terraform(['test', '-no-color'], 230);
    succeeds(t, tested, 'test');
    const [, passed = '0'] = /(\d+) passed, 0 failed/.exec(tested.stdout) ?? [];
    t.ok(Number(passed) > 5, `${passed} runs`);
  });
}
