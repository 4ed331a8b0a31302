/** What a measurement says, and the goal it is held to. */
export type Figure = { readonly figure: string; readonly value: number; readonly unit: string; readonly goal: number; readonly isMet: boolean };

/** A figure whose goal is met up to `atMost`. */
export const atMost = (figure: string, value: number, unit: string, goal: number): Figure => ({ figure, value, unit, goal, isMet: value <= goal });
/** A figure whose goal is met below `goal`. */
export const below = (figure: string, value: number, unit: string, goal: number): Figure => ({ figure, value, unit, goal, isMet: value < goal });

/** The value below which a part of them lies (nearest rank); NaN of none. */
export function quantile(numbers: readonly number[], part: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? Number.NaN;
}

export const median = (numbers: readonly number[]): number => quantile(numbers, 0.5);
export const mean = (numbers: readonly number[]): number => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;

/**
 * How much a straight line through evenly spaced values rises from the first to the last (least squares), and the spread of the values around it
 * (standard deviation).
 */
export function trend(values: readonly number[]): { readonly rise: number; readonly spread: number } {
  const middle = (values.length - 1) / 2;
  const level = mean(values);
  const slope = values.reduce((sum, value, at) => sum + (at - middle) * (value - level), 0) / values.reduce((sum, _, at) => sum + (at - middle) ** 2, 0);
  const spread = Math.sqrt(mean(values.map((value, at) => (value - level - slope * (at - middle)) ** 2)));
  return { rise: slope * (values.length - 1), spread };
}

export const mebibytes = (kb: number): string => `${(kb / 1024).toFixed(1)} MiB`;
