/**
 * Which orders are sent. `plain`: only new orders. `replays`: 5 % are sent for the second time. `mixed`: 10 % are sent
 * for the second time, and 5 % ask for more than any SKU has.
 */
export type Traffic = 'plain' | 'replays' | 'mixed';

/** The options of a load generator; the same for wrk and the built-in one. */
export interface LoadOptions {
  /** The public listener. */
  readonly url: string;
  /** A file with one basket a line: the SKUs of an order, comma separated. Each order takes a random basket. */
  readonly basketFile: string;
  /** The start of every id of this run. */
  readonly prefix: string;
  readonly traffic: Traffic;
  readonly connections: number;
  readonly seconds: number;
  /** Requests a second, independent of the answers; absent: each connection sends again when it was answered. */
  readonly rate?: number;
}

/** The result of a run, as the generator counted it. */
export interface Counted {
  readonly requests: number;
  /** Answers of 400 and above. */
  readonly refused: number;
  /** Connections that broke, and answers that did not come. */
  readonly broken: number;
  readonly seconds: number;
  /** Orders sent for the first time that ask for available stock, with or without an answer. */
  readonly made: number;
  /** Orders sent again. */
  readonly repeated: number;
  /** Orders that ask for too much. */
  readonly short: number;
  /** CPU time of the generator itself. */
  readonly cpuSeconds: number;
  /** The time from the moment when a request was due to its answer. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** More units than `OPENING`, so more than any SKU has. traffic.lua has the same value. */
export const QUANTITY_SHORT = 1_000_000;
const AGAIN_AFTER_MIN = 1_024;

/**
 * An order is sent again after this many orders of its thread, long after its answer: in that time each connection is
 * answered twice.
 */
export function againAfter(connections: number): number {
  return Math.max(AGAIN_AFTER_MIN, 2 * connections);
}
