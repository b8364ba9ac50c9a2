/** What a load generator is told; wrk and the built-in one take the same. */
export interface LoadOptions {
  /** The public listener. */
  readonly url: string;
  /** A file with a basket a line: the SKUs of one order, comma separated. Each order takes one of them by chance. */
  readonly basketFile: string;
  /** What the ids of this run begin with. */
  readonly prefix: string;
  /** 10 % of the orders are sent for the second time, and 5 % ask for more than any SKU has. */
  readonly mixed: boolean;
  readonly connections: number;
  readonly seconds: number;
  /** Requests a second, whatever the answers take; absent: each connection sends when it was answered. */
  readonly rate?: number;
}

/** What came of a run, as the generator saw it. */
export interface Counted {
  readonly requests: number;
  /** Answers of 400 and above. */
  readonly refused: number;
  /** Connections that broke, and answers that did not come. */
  readonly broken: number;
  readonly seconds: number;
  /** Orders made for the first time and not to be refused, those without an answer too. */
  readonly made: number;
  /** Orders sent again. */
  readonly again: number;
  /** Orders that ask for too much. */
  readonly short: number;
  /** Of the generator itself. */
  readonly cpuSeconds: number;
  /** From when a request was to be sent to its answer. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Asks for more than `OPENING` leaves on any shelf. Kept equal in traffic.lua. */
export const QUANTITY_SHORT = 1_000_000;
/** An order is sent again this many orders of its thread later, when it has long been answered. Kept equal in traffic.lua. */
export const AGAIN_AFTER = 1_024;
