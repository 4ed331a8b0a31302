/** Boots a guest and prints the id of its PID 1: a test file that hangs, for the tests of what is left of one that is ended. */
import './enter-lab.ts';
import { bootGuest } from './guest.ts';
import { sealedImage } from './image.ts';
import { launchInstance } from './instance.ts';
import { openLab } from './lab.ts';
import { owner } from './owner.ts';

const forever = { teardown: () => {} };
const lab = await openLab(forever);
const { network } = await launchInstance(forever, lab);
const guest = await bootGuest(forever, { root: sealedImage().root, network });
process.stdout.write(`${JSON.stringify({ leader: guest.leader, owner })}\n`);
