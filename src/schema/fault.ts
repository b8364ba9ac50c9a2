/** A fault of an input: the path of the value, and a message. */
export interface Fault {
  /** From the root of the input: `lines[3].quantity`. */
  readonly path: string;
  readonly message: string;
}
