/**
 * A program: installs a release of one file in `STATE` and prepares it in `RUNTIME`, with a config value of 6,000 bytes; prints `{code, message}` of its failure
 * and what is left in `RUNTIME`. For tests that need a file system of their own.
 */
import { readdirSync } from 'node:fs';
import { prepare } from '../../agent/boot/prepare.ts';
import { unpack } from '../../agent/boot/unpack.ts';
import type { InstanceId } from '../../contract/names.ts';
import { compress, downloaded, end, manifestEntry, manifestText, releaseOf } from './archive-bytes.ts';
import { makeUserData } from './pinned.ts';

const [stateFolder = '', runtimeFolder = ''] = process.argv.slice(2);
const archive = compress(Buffer.concat([manifestEntry, end]));
const release = releaseOf(archive, { files: 1, unpackedBytes: manifestText.length });
const identity = { instance: 'i-0' as InstanceId, address: '127.0.0.9', userData: makeUserData(1, '') };
const config = { names: ['LONG'], entries: () => [['LONG', 'x'.repeat(6_000)] as const] };
let failure: { code?: string; message?: string } = {};
try {
  const tree = await unpack(downloaded(stateFolder, release, archive), release, stateFolder, new AbortController().signal);
  const settings = { stateFolder, runtimeFolder, appFolder: runtimeFolder, interpreter: process.execPath, bind: '127.0.0.1:8000' };
  await prepare(settings as Parameters<typeof prepare>[0], identity, release, tree, config);
} catch (thrown) {
  failure = thrown as { code: string; message: string };
}
const { code, message } = failure;
console.log(JSON.stringify({ code, message, left: readdirSync(runtimeFolder) }));
