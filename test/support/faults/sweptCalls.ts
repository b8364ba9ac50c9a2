/**
 * The ids of one case: two SKUs of one shard, a SKU on another server, a SKU of another shard on their own server, and
 * one name for everything else.
 */
export interface CaseIds {
  readonly sku_ids: readonly [first: string, second: string, beside: string, near: string];
  readonly name: string;
  /** Orders whose cart records lie in slots that are not moved. */
  readonly order_id: string;
  readonly next_order_id: string;
}

/** One call as a client makes it. */
export interface Call {
  readonly listener: 'publicUrl' | 'adminUrl';
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly path: string;
  readonly body?: unknown;
}

/** The sums that the journal and the row of a SKU must have. */
export interface Balance {
  readonly opening: number;
  readonly adjusted: number;
  readonly deducted: number;
  readonly flow_count: number;
  /** Absent: none. */
  readonly returned?: number;
}

export const OPENED = 10;
export const NEW: Balance = { opening: OPENED, adjusted: 0, deducted: 0, flow_count: 0 };

export const sku = (sku_id: string): string => `/v1/skus/${encodeURIComponent(sku_id)}`;

/** Opens a SKU. */
export const openCall = (sku_id: string): Call => ({
  listener: 'adminUrl',
  method: 'PUT',
  path: sku(sku_id),
  body: { leaved_amount: OPENED },
});

/** Reads the units left of a SKU. */
export const readCall = (sku_id: string): Call => ({ listener: 'publicUrl', method: 'GET', path: sku(sku_id) });

/** One order; each line is a SKU and its units. */
export const deductCall = (
  name: string,
  lines: readonly (readonly [string, number])[],
  order_id = `order-${name}`,
): Call => ({
  listener: 'publicUrl',
  method: 'POST',
  path: '/v1/deductions',
  body: {
    order_id,
    lines: lines.map(([sku_id, quantity], index) => ({ order_detail_id: `${name}-${index}`, sku_id, quantity })),
  },
});

export const oneLine = ({ sku_ids: [first], name }: CaseIds): Call => deductCall(name, [[first, 2]]);
export const openBoth = ({ sku_ids: [first, second] }: CaseIds): Call[] => [first, second].map(openCall);
export const openAll = ({ sku_ids }: CaseIds): Call[] => sku_ids.map(openCall);
export const openThenDeduct = (ids: CaseIds): Call[] => [...openBoth(ids), oneLine(ids)];

export const cart = ({ sku_ids: [first, second, beside], name, order_id }: CaseIds): Call =>
  deductCall(
    name,
    [
      [first, 2],
      [second, 1],
      [beside, 3],
    ],
    order_id,
  );
/** Three lines on two shards of one server. */
export const nearCart = ({ sku_ids: [first, second, , near], name, order_id }: CaseIds): Call =>
  deductCall(
    name,
    [
      [first, 2],
      [second, 1],
      [near, 3],
    ],
    order_id,
  );

/** Cancels the lines of an order. */
export const cancelCall = (sold: Call): Call => {
  const { order_id, lines } = sold.body as { order_id: string; lines: { order_detail_id: string; sku_id: string }[] };
  const keys = lines.map(({ order_detail_id, sku_id }) => ({ order_detail_id, sku_id }));
  return { listener: 'publicUrl', method: 'POST', path: '/v1/cancellations', body: { order_id, lines: keys } };
};

export const ONE_TAKEN: Balance = { ...NEW, deducted: 1, flow_count: 1 };
export const THREE_TAKEN: Balance = { ...NEW, deducted: 3, flow_count: 1 };
export const TWO_TAKEN: Balance = { ...NEW, deducted: 2, flow_count: 1 };
/** The same after all units came back. */
export const givenBack = (balance: Balance): Balance => ({ ...balance, returned: balance.deducted });
export const NOTHING_CHANGES = { without: [TWO_TAKEN, NEW], done: [TWO_TAKEN, NEW] } as const;
