import { setTimeout as wait } from 'node:timers/promises';

/** Asks until the answer fits, and gives it: for what no event tells. The test's own time limit ends it. */
export async function eventually<T>(ask: () => T | Promise<T>, fits: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (fits(answer)) return answer;
    await wait(10);
  }
}
