/** One thing wrong with some input: where, and what. */
export interface Fault {
  /** From the root of what was checked: `lines[3].quantity`. */
  readonly path: string;
  readonly message: string;
}
