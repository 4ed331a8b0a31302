/**
 * Full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"): a wait in milliseconds, uniform in [0, min(cap, base × 2^attempt)).
 * `chance` in [0, 1) decides where, so that deciding stays pure.
 */
export const fullJitterMs = (attempt: number, baseMs: number, capMs: number, chance: number): number =>
  Math.floor(chance * Math.min(capMs, baseMs * 2 ** Math.min(attempt, 30)));
