/**
 * A program: downloads one artifact as a boot does and prints its peak memory. Arguments: the artifact as JSON, the state folder.
 * For a test that needs a process, because memory is the process's own.
 */
import '@aws-sdk/client-ssm';
import { createClients } from '../../agent/aws.ts';
import { download } from '../../agent/boot/download.ts';
import { defaultLimits } from '../../agent/limits.ts';
import { peakMemoryMb } from './peak-memory.ts';

const [artifact = '', state = ''] = process.argv.slice(2);
const s3 = await createClients(undefined, defaultLimits).s3();
await download(s3, JSON.parse(artifact), state, defaultLimits, new AbortController().signal);
console.log(JSON.stringify({ peakMb: peakMemoryMb() }));
process.exit(0);
