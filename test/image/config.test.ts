import './guest/enter-lab.ts';
import { PutParameterCommand } from '@aws-sdk/client-ssm';
import fc from 'fast-check';
import t from 'tap';
import { configPath } from '../../contract/names.ts';
import { openLab } from './guest/lab.ts';
import { needsGuest } from './guest/missing.ts';
import { agentUnit, appUnit, bootShop, release } from './shop.ts';

/** What a process can be given: any text without NUL and without Unicode's non-characters. Parameter Store takes no empty value and 8 KB. */
const deliverable = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 60 })
  .filter((text) => text.isWellFormed() && !text.includes('\0') && !/\p{Noncharacter_Code_Point}/u.test(text));

if (needsGuest(t)) {
  const lab = await openLab(t);

  t.test('F49: values of config reach the app byte for byte through the unit', async (t) => {
    const chosen = [
      'two\nlines\n',
      '\r\n\ttabs and blanks  ',
      '"double" \'single\' `back`',
      '$HOME $(id) $$ %h %%',
      'back\\slash \\n \\" \\$',
      '# no comment',
      '; nor this',
      '-----BEGIN KEY-----\nMIIB\n-----END KEY-----\n',
      '{"a": "b\\n"}',
      'ünïcödé 🔑 \u{feff}\u{e000}\u0085',
      'x'.repeat(8_000),
    ];
    const values = [...chosen, ...fc.sample(deliverable, { numRuns: 40, seed: Number(process.env.SEED ?? Date.now()) })];
    const config = Object.fromEntries(values.map((value, index) => [`VALUE_${index}`, value]));
    const shop = await bootShop(t, lab, await release(t, lab, config));
    await shop.untilReady();
    const environment: Record<string, string> = JSON.parse(await (await fetch(`${shop.url}/environment`)).text());
    for (const [name, value] of Object.entries(config))
      t.equal(Buffer.from(environment[name] ?? '', 'base64').toString(), value, `${name}: ${JSON.stringify(value.slice(0, 40))}`);
    const { stdout } = await shop.guest.exec(`systemctl show ${appUnit}; journalctl --boot --unit=${appUnit} --output=cat`);
    t.notOk(stdout.includes('BEGIN KEY'), 'systemd shows the path, not the values');
  });

  t.test('F49: a value that no process can be given is refused by its name, before the app is touched', async (t) => {
    const released = await release(t, lab, { FINE: 'fine', BROKEN: 'first' });
    // Past the CLI, which takes no such value.
    const command = new PutParameterCommand({ Name: configPath(released.userData, 'BROKEN'), Value: 'a \u{fffe} b', Type: 'SecureString', Overwrite: true });
    await released.cloud.clients.ssm.send(command);
    const userData = await released.cloud.releaseBuilt(released.appDir);
    const shop = await bootShop(t, lab, released, { userData });
    await shop.guest.untilLogged(agentUnit, ({ message }) => message.includes('"to":"failed"'));
    t.match((await shop.readyz()).body, { state: 'failed', cause: 'CONFIG_UNDELIVERABLE', sentence: /BROKEN/ });
    t.equal((await shop.guest.exec(['ls', '/run/pinion/app.env'])).end, 2, 'no environment file');
    t.equal((await shop.guest.unit(appUnit)).ActiveState, 'inactive');
  });
}
