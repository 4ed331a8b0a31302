// `npm run test:oom`: the image in an emulated machine with Debian's own kernel, for what no container can show: the out-of-memory killer, a serial console,
// units' IP filters. Some minutes on an idle machine. Skipped by name where QEMU is missing.
import { spawnSync } from 'node:child_process';
import t from 'tap';
import { missingForGuests } from '../image/guest/missing.ts';

const hasQemu = spawnSync('qemu-system-x86_64', ['--version']).status === 0;
const missing = missingForGuests() ?? (hasQemu ? undefined : 'QEMU is missing: apt-get install --no-install-recommends qemu-system-x86');
if (missing !== undefined) t.plan(0, `skipped: ${missing}`);
else await import('./oom-tests.ts');
