/**
 * A program: reads one release as a boot does, with its retries, and prints every event and then `{"number":N,"ms":…}` as a line of JSON.
 * Arguments: user data and limits as JSON. For tests that need a process, because the resolver or the clock is the process's own.
 */
import { createClients } from '../../agent/aws.ts';
import { phases } from '../../agent/boot/phases.ts';
import { readRelease } from '../../agent/boot/release.ts';

const [userData, limits] = process.argv.slice(2).map((text) => JSON.parse(text));
const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);
const startedAt = performance.now();
const { ssm } = createClients(undefined, limits);
const phase = phases(limits, say, new AbortController().signal);
const { number } = await phase('release', (s) => readRelease(ssm, userData, s));
say({ number, ms: Math.round(performance.now() - startedAt) });
process.exit(0);
