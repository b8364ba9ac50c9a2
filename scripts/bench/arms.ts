/** The measured arms and their comparisons, as data. */
import type { Traffic } from './load/contract.ts';

/** A process that takes orders. */
export type ServerName =
  | 'echo'
  | 'gateway'
  | 'gateway_prechecked'
  | 'gateway_traced'
  | 'gateway_traced_little'
  | 'gateway_1_shard'
  | 'textbook'
  | 'textbook_carts'
  | 'redis';

/** Which SKUs there are, and how much of each. */
export type GoodsName = 'hot' | 'many' | 'sold_out' | 'carts' | 'scarce_carts';

/** The database servers that the shards lie on. */
export type WorldName = 'one_server' | 'four_servers';

export interface Arm {
  readonly name: string;
  readonly server: ServerName;
  readonly goods: GoodsName;
  readonly traffic: Traffic;
  /** Outcomes, as the gateway counts them, that count as work. More than 1 % of other outcomes void a run. */
  readonly answers: readonly string[];
  /** A run without an answer of each of these outcomes is void: it did not measure the arm. */
  readonly mustOccur: readonly string[];
  /** The server rejects requests when too many wait. Rejected requests do not count as work, and do not void a run. */
  readonly mayReject: boolean;
  /** In a few words, for the table. */
  readonly what: string;
}

const arm = (name: string, server: ServerName, goods: GoodsName, what: string, more: Partial<Arm> = {}): Arm => ({
  name,
  server,
  goods,
  traffic: 'plain',
  mayReject: false,
  mustOccur: [],
  answers: ['deducted'],
  what,
  ...more,
});

const replays: Partial<Arm> = {
  traffic: 'replays',
  answers: ['deducted', 'replayed'],
  mustOccur: ['replayed'],
  mayReject: true,
};
const shortages: Partial<Arm> = {
  answers: ['deducted', 'insufficient_stock'],
  mustOccur: ['insufficient_stock'],
  mayReject: true,
};

export const ARMS: readonly Arm[] = [
  arm('echo', 'echo', 'hot', 'bare Koa, parses the order and answers the same bytes'),
  arm('echo_carts', 'echo', 'carts', 'the same with the bodies of carts'),
  arm('echo_carts_4', 'echo', 'carts', 'the same beside four database servers'),
  arm('hot', 'gateway', 'hot', 'one hot SKU'),
  arm('many', 'gateway', 'many', '1,024 SKUs on 16 shards of one server'),
  arm('sold_out', 'gateway', 'sold_out', 'one SKU that is sold out, refused by the engine', {
    answers: ['deducted', 'insufficient_stock'],
  }),
  arm('sold_out_early', 'gateway_prechecked', 'sold_out', 'the same, refused by the pre-check in memory', {
    answers: ['deducted', 'insufficient_stock'],
  }),
  arm('mixed', 'gateway', 'many', '1,024 SKUs, 10 % replays and 5 % shorts', {
    traffic: 'mixed',
    answers: ['deducted', 'replayed', 'insufficient_stock'],
  }),

  arm('carts', 'gateway', 'carts', 'three lines on three of 16 shards of one server', { mayReject: true }),
  arm('carts_replays', 'gateway', 'carts', 'the same, 5 % replays', replays),
  arm('carts_shortages', 'gateway', 'scarce_carts', 'the same, one SKU in eight runs out', shortages),
  arm('carts_4', 'gateway', 'carts', 'three lines on three of 16 shards over four servers', { mayReject: true }),
  arm('carts_4_replays', 'gateway', 'carts', 'the same, 5 % replays', replays),
  arm('carts_4_shortages', 'gateway', 'scarce_carts', 'the same, one SKU in eight runs out', shortages),
  arm('one_shard', 'gateway_1_shard', 'many', '1,024 SKUs on one shard'),

  arm('textbook_hot', 'textbook', 'hot', 'a transaction per request, one hot SKU, best pool', { mayReject: true }),
  arm('textbook_many', 'textbook', 'many', 'a transaction per request, 1,024 SKUs, best pool', { mayReject: true }),
  arm('textbook_carts', 'textbook_carts', 'carts', 'a transaction per order of three lines, best pool'),

  arm('spans', 'gateway_traced', 'hot', 'one hot SKU, spans of every request'),
  arm('few_spans', 'gateway_traced_little', 'hot', 'one hot SKU, spans of one request in a hundred'),
  arm('redis', 'redis', 'hot', 'Koa and a Redis script, nothing on disk'),
];

/** Measured in a world of its own, and compared with itself on one sub-row. */
export const SCALING = arm('scaling', 'gateway', 'hot', 'one SKU on 1, 2, 4, 8 and 16 sub-rows');
/** Measured beside it: the most that the databases and the machine allow. */
export const SCALING_CONTROL = arm('scaling_control', 'gateway', 'many', 'as many SKUs, on as many servers');

export function armNamed(name: string): Arm {
  const found = ARMS.find((candidate) => candidate.name === name);
  if (found === undefined)
    throw new Error(`no arm is called ${name}; there are ${ARMS.map((each) => each.name).join(', ')}`);
  return found;
}

/** The level of the load. */
export type Pressure = 'all_out' | 'half_of_peak' | 'one_client';

/** An arm that is compared with a reference: each of its runs lies between two runs of the reference. */
export interface Comparison {
  readonly arm: string;
  readonly reference: string;
  readonly pressure: Pressure;
  /** The only number of connections; absent: all numbers that are asked for. */
  readonly connections?: number;
  /** Absent: `one_server`. */
  readonly world?: WorldName;
}

const against = (reference: string, arms: readonly string[], more: Partial<Comparison> = {}): Comparison[] =>
  arms.map((name) => ({ arm: name, reference, pressure: 'all_out', ...more }));

const FOUR = { world: 'four_servers' } as const;

/** In this order: half of the peak of an arm is known only after the arm was measured all out. */
export const COMPARISONS: readonly Comparison[] = [
  ...against('echo', ['hot', 'many', 'sold_out', 'sold_out_early']),
  ...against('echo', ['hot', 'many'], { pressure: 'half_of_peak', connections: 256 }),
  ...against('many', ['mixed']),
  ...against('one_shard', ['many'], { connections: 1_024 }),
  ...against('echo_carts', ['carts']),
  ...against('echo_carts', ['carts'], { pressure: 'half_of_peak', connections: 256 }),
  ...against('carts', ['carts_replays', 'carts_shortages'], { connections: 1_024 }),
  ...against('hot', ['spans', 'few_spans'], { connections: 1_024 }),
  ...against('redis', ['hot']),
  ...against('textbook_hot', ['hot']),
  ...against('textbook_hot', ['hot'], { pressure: 'one_client', connections: 1 }),
  ...against('textbook_many', ['many']),
  ...against('textbook_carts', ['carts']),
  ...against('echo_carts_4', ['carts_4'], FOUR),
  ...against('echo_carts_4', ['carts_4'], { ...FOUR, pressure: 'half_of_peak', connections: 256 }),
  ...against('carts_4', ['carts_4_replays', 'carts_4_shortages'], { ...FOUR, connections: 1_024 }),
];
