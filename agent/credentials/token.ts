import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Failure } from '../../contract/causes.ts';
import { replaceFile } from '../replace-file.ts';

/** Name, in the folder that the app may read, of the file with the token that its SDK sends along. */
export const tokenName = 'aws-token';

/** 256 random bits in hexadecimal digits. No line end: botocore's ContainerProvider refuses it. */
const wellFormed = /^[0-9a-f]{64}$/;

/**
 * The token in `file`. An app that outlived its agent goes on with the one it has; where there is none, or something else, a new one is written,
 * for the owner and the group of the folder. Throws STATE_UNWRITABLE.
 */
export function keepToken(file: string): string {
  const found = readText(file);
  if (wellFormed.test(found)) return found;
  const token = randomBytes(32).toString('hex');
  try {
    replaceFile(file, token, 0o640);
  } catch (thrown) {
    throw new Failure('STATE_UNWRITABLE', { path: file, detail: (thrown as NodeJS.ErrnoException).code ?? String(thrown) }, { cause: thrown });
  }
  return token;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
