import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Failure } from '../../contract/causes.ts';
import { firstProblem } from '../../contract/document.ts';
import { type Manifest, manifestSchema } from '../../contract/manifest.ts';
import type { Release } from '../../contract/release.ts';
import { objectName } from './release-paths.ts';

/** The manifest of a verified tree. Throws MANIFEST_INVALID when it is none, or says something else than the record that names it. */
export function readManifest(tree: string, release: Release): Manifest {
  const invalid = (path: string, problem: string) => new Failure('MANIFEST_INVALID', { object: objectName(release.artifact), path, problem });
  let manifest: Manifest;
  try {
    manifest = JSON.parse(readFileSync(join(tree, 'manifest.json'), 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) throw invalid('/', 'is not JSON');
    throw error;
  }
  const wrong = firstProblem(manifestSchema, manifest);
  if (wrong !== undefined) throw invalid(wrong.path, wrong.problem);
  const names = (list: readonly string[]) => [...list].sort().join(', ');
  const found = { ...manifest, config: names(manifest.config) };
  const recorded = { ...release, config: names(Object.keys(release.config)) };
  for (const field of ['app', 'python', 'platform', 'config'] as const) {
    if (found[field] !== recorded[field]) throw invalid(`/${field}`, `is ${found[field] || 'empty'}, the record says ${recorded[field] || 'nothing'}`);
  }
  return manifest;
}
