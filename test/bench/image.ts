// `npm run bench:image`: boots the image with the standard artifact, and tells what of a boot is pinion's. Needs what `npm run test:image` needs.
import '../image/guest/enter-lab.ts';
import { readFileSync } from 'node:fs';
import t from 'tap';
import { buildForGuest } from '../image/guest/artifact.ts';
import { openLab } from '../image/guest/lab.ts';
import { needsGuest } from '../image/guest/missing.ts';
import { agentUnit, bootShop, exposeAutoScaling, type Released } from '../image/shop.ts';
import { startCloud } from '../support/cloud.ts';
import { startFaultingProxy } from '../support/faulting-proxy.ts';

const rounds = 5;
const source = (name: string) => readFileSync(new URL(`standard-app/${name}`, import.meta.url), 'utf8');
const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

if (needsGuest(t)) {
  const lab = await openLab(t);
  const cloud = await startCloud(t);
  const { appDir, files, sizeBytes } = await buildForGuest(t.testdir(), {
    files: { 'standard/__init__.py': source('standard/__init__.py') },
    settings: 'entry-point = "standard:app"\ninclude = ["standard"]\n',
    requirements: source('requirements.txt'),
  });
  const userData = await cloud.releaseBuilt(appDir, {});
  const proxy = await startFaultingProxy(t, cloud.endpoint);
  const released: Released = { cloud, appDir, userData, proxy, endpoint: await lab.expose(proxy.url), autoScaling: await exposeAutoScaling(t, lab) };
  const seen: { readonly pid1ToReadyMs: number; readonly oursMs: number }[] = [];
  for (let round = 0; round <= rounds; round++) {
    await t.test(round === 0 ? 'a first boot, not counted' : `boot ${round}`, async (t) => {
      const shop = await bootShop(t, lab, released);
      const pid1ToReadyMs = await shop.untilReady();
      await shop.guest.settled();
      const { ActiveEnterTimestampMonotonic: _, InactiveExitTimestampMonotonic: begun, ...unit } = await shop.guest.unit(agentUnit);
      const { UserspaceTimestampMonotonic: userspace } = Object.fromEntries(
        (await shop.guest.ask('systemctl show --property=UserspaceTimestampMonotonic')).split('\n').map((line) => line.split('=')),
      );
      const oursMs = pid1ToReadyMs - (Number(begun) - Number(userspace)) / 1_000;
      const { phasesMs } = await shop.status();
      t.equal(unit.Result, 'success');
      t.comment(`PID 1 to ready ${Math.round(pid1ToReadyMs)} ms, of which ours ${Math.round(oursMs)} ms: ${JSON.stringify(phasesMs)}`);
      if (round === 1) t.comment(await shop.guest.ask(`systemd-analyze critical-chain --no-pager ${agentUnit}`));
      if (round > 0) seen.push({ pid1ToReadyMs, oursMs });
      await shop.guest.kill();
    });
  }
  t.comment(`standard artifact: ${files} files, ${(sizeBytes / 2 ** 20).toFixed(1)} MiB as tar.zst`);
  t.comment(
    `median of ${rounds}: PID 1 to ready ${Math.round(median(seen.map((boot) => boot.pid1ToReadyMs)))} ms, ours ${Math.round(median(seen.map((boot) => boot.oursMs)))} ms`,
  );
}
