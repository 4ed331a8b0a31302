import type { ConfigChange } from '../release/history.ts';

export function changeText({ name, version, before }: ConfigChange): string {
  if (version === undefined) return `${name} no more`;
  return before === undefined ? `${name} ${version} (new)` : `${name} ${version} (was ${before})`;
}
