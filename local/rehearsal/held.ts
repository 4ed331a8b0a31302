/** What a case says when it holds. */
export type Held = {
  readonly outcome: string;
  /** Seconds that a deploy took in it. */
  readonly seconds: number;
  /** Instances that it replaced one by one, where that is all it did. */
  readonly replaced?: number;
  /** Requests without a good answer that are no fault of a deploy, with the reason. */
  readonly excused?: { readonly failed: number; readonly why: string };
};
