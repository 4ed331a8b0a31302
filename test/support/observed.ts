import { setTimeout as wait } from 'node:timers/promises';
import type { AgentEvent } from '../../contract/events.ts';
import type { StateName } from '../../contract/status.ts';
import type { AgentProcess } from './agent.ts';

type StateEvent = AgentEvent & { readonly event: 'state' };

/** The states that an agent entered, in order. */
export const statesOf = ({ events }: AgentProcess): readonly StateName[] => events.filter((event) => event.event === 'state').map(({ to }) => to);

/** Resolves when it has entered this state for the `nth` time, counted from 1. */
export async function entered(agent: AgentProcess, state: StateName, nth = 1): Promise<void> {
  const isIt = (event: AgentEvent): event is StateEvent => event.event === 'state' && event.to === state;
  await agent.until((event): event is StateEvent => isIt(event) && agent.events.filter(isIt)[nth - 1] === event);
}

/** Asks until the answer fits, and gives it: for what no event tells. The test's own time limit ends it. */
export async function eventually<T>(ask: () => T | Promise<T>, fits: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (fits(answer)) return answer;
    await wait(10);
  }
}
