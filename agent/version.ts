import description from '../package.json' with { type: 'json' };

/** Version of this agent, as records ask for it (`minAgent`). */
export const agentVersion: string = description.version;
