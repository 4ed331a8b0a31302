import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { findInterpreter } from '../../../pipeline/artifact/interpreter.ts';
import { tellingLine, wheelPacks } from '../../../pipeline/artifact/wheels.ts';
import type { Progress } from '../../../pipeline/progress.ts';
import { gunicorn, makeApp, makeWheel, python, type TestApp } from '../../support/pipeline-app.ts';
import { failureOf } from '../../support/pipeline-cloud.ts';

const never = new AbortController().signal;

async function packs({ appDir, env }: TestApp) {
  const events: Progress[] = [];
  const interpreter = await findInterpreter(python, env, never);
  const made = await wheelPacks({ appDir, cacheFolder: join(appDir, 'cache'), env }, interpreter, (event) => events.push(event), never);
  return { made, events };
}

t.test('pip fetches, the cache keeps: the second time needs neither pip nor wheels', async (t) => {
  const app = makeApp(t, { wheels: [gunicorn, { name: 'flask' }] });
  const first = await packs(app);
  t.same(
    first.made.map(({ name }) => name),
    ['flask-1.0-py3-none-any.whl', 'gunicorn-27.0.1-py3-none-any.whl'],
  );
  t.match(first.events.at(-1), { event: 'wheels', count: 2, packed: 2 });
  rmSync(app.wheelFolder, { recursive: true });
  const second = await packs(app);
  t.same(second.events, [{ event: 'wheels', count: 2, packed: 0 }]);
  t.same(second.made, first.made);
  t.same(
    readdirSync(join(app.appDir, 'cache')).filter((name) => !/\.(pack|json)$/.test(name)),
    [],
    'nothing else is left',
  );
});

t.test('F06: a damaged pack in the cache is made again', async (t) => {
  const app = makeApp(t);
  const first = await packs(app);
  const pack = first.made[0]?.path ?? '';
  const sound = readFileSync(pack);
  writeFileSync(pack, Buffer.concat([Buffer.from('X'), sound.subarray(1)]));
  const again = await packs(app);
  t.match(again.events.at(-1), { count: 1, packed: 1 });
  t.same(readFileSync(pack), sound);
  for (const name of readdirSync(join(app.appDir, 'cache'))) if (name.endsWith('.json')) writeFileSync(join(app.appDir, 'cache', name), '[{"na');
  t.match((await packs(app)).events.at(-1), { count: 1, packed: 0 }, 'a list that was cut short is made again');
});

t.test('another lock is resolved anew, and what is known is not packed again', async (t) => {
  const app = makeApp(t);
  await packs(app);
  const { requirement } = makeWheel(app.wheelFolder, { name: 'flask' });
  writeFileSync(join(app.appDir, 'requirements.txt'), `${readFileSync(join(app.appDir, 'requirements.txt'))}${requirement}\n`);
  t.match((await packs(app)).events.at(-1), { count: 2, packed: 1 });
});

t.test('no lock, no wheel, no hash, another hash, no gunicorn: each says so', async (t) => {
  const app = makeApp(t);
  const lock = join(app.appDir, 'requirements.txt');
  const sound = readFileSync(lock);
  const refused = async (code: 'REQUIREMENTS_MISSING' | 'WHEELS_UNAVAILABLE' | 'GUNICORN_MISSING', text?: string) => {
    if (text === undefined) rmSync(lock);
    else writeFileSync(lock, text);
    return (await failureOf(code, packs(app))).message;
  };
  t.match(await refused('WHEELS_UNAVAILABLE', `gunicorn==99 --hash=sha256:${'0'.repeat(64)}\n`), /No matching distribution found for gunicorn==99/);
  t.match(await refused('WHEELS_UNAVAILABLE', 'gunicorn==27.0.1\n'), /require-hashes|hash/i);
  t.match(await refused('WHEELS_UNAVAILABLE', `gunicorn==27.0.1 --hash=sha256:${'0'.repeat(64)}\n`), /DO NOT MATCH THE HASHES/);
  for (const name of ['flask', 'gunicorn-color']) {
    const lock = `${name}==1 --hash=sha256:${'0'.repeat(64)}\n    # via gunicorn\n`;
    t.match(await refused('GUNICORN_MISSING', lock), /does not lock gunicorn/, `${name} alone, before anything is fetched`);
  }
  writeFileSync(join(app.appDir, 'other.txt'), sound);
  writeFileSync(lock, '-r other.txt\n');
  t.match((await packs(app)).events.at(-1), { count: 1 }, 'another file may name it');
  writeFileSync(join(app.appDir, 'other.txt'), `${makeWheel(app.wheelFolder, { name: 'flask' }).requirement}\n`);
  t.match(await refused('GUNICORN_MISSING', '-r other.txt\n'), /does not lock gunicorn/, 'after what another file names was fetched');
  t.match(await refused('REQUIREMENTS_MISSING'), /requirements.txt does not exist/);
});

t.test('a refused wheel is named, and leaves no pack behind', async (t) => {
  const app = makeApp(t, { wheels: [gunicorn, { name: 'evil', files: { 'evil/a.py': '' }, record: { 'evil/a.py': '' } }] });
  t.match((await failureOf('WHEEL_REFUSED', packs(app))).message, /evil-1.0-py3-none-any.whl is refused: evil\/a.py: RECORD/);
  t.equal(readdirSync(join(app.appDir, 'cache')).filter((name) => !name.endsWith('.pack')).length, 0);
});

t.test("pip's one telling line, without addresses", async (t) => {
  t.equal(
    tellingLine('Looking in links: /x\nWARNING: Retrying\nERROR: No matching distribution found for a==1\n\n[notice] new\n'),
    'No matching distribution found for a==1',
  );
  t.equal(tellingLine('ERROR: first\nERROR: these do not:\n    flask from https://user:secret@index/simple\n'), 'these do not: flask from (address)');
  t.equal(tellingLine('Traceback'), undefined);
});
