import type { FlowKey } from '../../../src/core/types.ts';

/** A line of an answer. */
export interface LineState extends FlowKey {
  readonly status: string;
  readonly code?: string;
  readonly quantity?: number;
  readonly order_id?: string;
}

/** Two lines, by default `a` on one shard and `b` on another, and the orders that name them. */
export interface Pair {
  readonly a: FlowKey;
  readonly b: FlowKey;
  readonly x: string;
  readonly y: string;
}

export function pairOf(a: string, b: string, name: string): Pair {
  return {
    a: { sku_id: a, order_detail_id: `${name}-a` },
    b: { sku_id: b, order_detail_id: `${name}-b` },
    x: `x ${name}`,
    y: `y ${name}`,
  };
}
