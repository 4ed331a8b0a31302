/**
 * For its effect: `import './guest/enter-lab.ts'` as a test file's first import. The process goes on as itself, same id, same files, in a
 * network and a mount namespace of its own (a lab), before anything else is loaded; the image is baked first, as that takes longer than a test
 * may. Where guests can't be booted it stays where it is; the tests say so by `needsGuest`.
 */
import { imageVariable, sealedImage } from './image.ts';
import { enterLab, isInLab } from './lab-process.ts';
import { missingForGuests } from './missing.ts';

if (missingForGuests() === undefined) {
  enterLab(isInLab() ? {} : { [imageVariable]: sealedImage().folder });
}
