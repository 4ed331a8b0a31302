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
/** Milliseconds from the start of gunicorn alone, as the unit starts it, to its first answer: what the app and its packages take without pinion. */
const alone = `
import os, subprocess, time, urllib.request
os.chdir("/var/lib/pinion/current/app")
begun = time.monotonic()
command = ["/var/lib/pinion/current/bin/python", "-m", "gunicorn", "--config", "/run/pinion-app/gunicorn.conf.py", "--bind", "127.0.0.1:8999"]
gunicorn = subprocess.Popen(command, user="pinion-app", group="pinion-app", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
while True:
    try:
        urllib.request.urlopen("http://127.0.0.1:8999/healthz").read()
        break
    except OSError:
        time.sleep(0.005)
print(1000 * (time.monotonic() - begun))
gunicorn.terminate()
gunicorn.wait()
`;
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
  const seen: { readonly pid1ToReadyMs: number; readonly oursMs: number; readonly appMs: number }[] = [];
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
      const appMs = Number(await shop.guest.ask(['python3', '-c', alone]));
      t.comment(
        `PID 1 to ready ${Math.round(pid1ToReadyMs)} ms, of which ours ${Math.round(oursMs)} ms (gunicorn alone ${Math.round(appMs)} ms): ${JSON.stringify(phasesMs)}`,
      );
      if (round === 1) t.comment(await shop.guest.ask(`systemd-analyze critical-chain --no-pager ${agentUnit}`));
      if (round > 0) seen.push({ pid1ToReadyMs, oursMs, appMs });
      await shop.guest.kill();
    });
  }
  t.comment(`standard artifact: ${files} files, ${(sizeBytes / 2 ** 20).toFixed(1)} MiB as tar.zst`);
  const of = (name: keyof (typeof seen)[number]) => Math.round(median(seen.map((boot) => boot[name])));
  t.comment(
    `median of ${rounds}: PID 1 to ready ${of('pid1ToReadyMs')} ms; from the agent's start ${of('oursMs')} ms, of which gunicorn would take ${of('appMs')} ms alone`,
  );
}
