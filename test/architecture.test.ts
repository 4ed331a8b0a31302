import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const root = fileURLToPath(new URL('..', import.meta.url));
const sources = globSync('{agent,contract,local,pipeline}/**/*.ts', { cwd: root });

type Import = { readonly target: string; readonly isType: boolean; readonly isLazy: boolean };
const imports = new Map(sources.map((file) => [file, importsOf(file)]));

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8');
  const found = text.matchAll(/^(?:import|export)\s+(type\s)?[^;]*?from\s+'([^']+)'|^import\s+'([^']+)'|\bimport\('([^']+)'\)/gm);
  return [...found].map(([, type, from, bare, lazy]) => {
    const specifier = from ?? bare ?? lazy ?? '';
    const target = specifier.startsWith('.') ? normalize(join(dirname(file), specifier)) : specifier;
    return { target, isType: type !== undefined, isLazy: lazy !== undefined };
  });
}

const planeOf = (file: string) => file.split('/')[0];
const allowed: Record<string, readonly string[]> = {
  contract: ['contract'],
  agent: ['agent', 'contract', 'package.json'],
  pipeline: ['pipeline', 'contract', 'package.json'],
  // The local cloud plays the operator and the host: it uses the verbs of the one and finds port holders like the other.
  local: ['local', 'contract', 'pipeline', 'agent', 'package.json'],
};

t.test('agent and pipeline meet only in contract/', async (t) => {
  t.ok(sources.length > 40, `${sources.length} sources are looked at`);
  for (const [file, targets] of imports) {
    for (const { target } of targets) {
      const plane = planeOf(target);
      if (plane === undefined || !(plane in allowed)) continue;
      if (!allowed[planeOf(file) ?? '']?.includes(plane)) t.fail(`${file} imports ${target}`);
    }
  }
});

/** What decides is pure: no clock, no disk, no network. */
const pure = [
  'agent/machine.ts',
  'agent/lifecycle/hook.ts',
  'agent/app/restart.ts',
  'agent/app/last-words.ts',
  'agent/drain/order.ts',
  'agent/jitter.ts',
  'agent/reporting/scrub.ts',
  'agent/app/environment.ts',
  'agent/app/gunicorn.ts',
  'agent/credentials/app-variables.ts',
  'agent/boot/archive-entry.ts',
  'agent/readiness/verdict.ts',
  'pipeline/config/value.ts',
  'pipeline/release/record.ts',
  'pipeline/release/history.ts',
  'pipeline/artifact/tree.ts',
  'pipeline/rollout/plan.ts',
  'pipeline/rollout/preflight.ts',
  'pipeline/rollout/verdict.ts',
  'local/autoscaling/plan.ts',
  'local/load-balancer/target-health.ts',
];

t.test('what decides is pure: it imports no node: module, no SDK, and nothing that does', async (t) => {
  for (const file of [...pure, ...sources.filter((source) => planeOf(source) === 'contract')]) {
    const reached = reach(file);
    t.ok(reached.has(file), `${file} exists`);
    const impure = [...reached].filter((target) => target.startsWith('node:') || target.startsWith('@aws-sdk/') || target.startsWith('@smithy/'));
    t.same(impure, [], `${file} reaches nothing impure`);
  }
});

function reach(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  const own = imports.get(file);
  if (own !== undefined || !file.endsWith('.ts')) seen.add(file);
  for (const { target, isType } of own ?? []) if (!isType) reach(target, seen);
  return seen;
}

t.test('no import cycles', async (t) => {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) {
      t.fail([...path.slice(path.indexOf(file)), file].join(' → '));
      return;
    }
    if (done.has(file)) return;
    for (const { target, isType } of imports.get(file) ?? []) if (!isType && imports.has(target)) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of sources) visit(file, []);
  t.ok(done.size > 0);
});
