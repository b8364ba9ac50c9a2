import type { Answer } from '../../scripts/support/httpClient.ts';
import {
  bodyOf,
  foundOf,
  numberOf,
  rowShardsOf,
  refusedLinesOf,
  replayedOf,
  replaysOf,
  statesOf,
  timed,
  outcomeOf,
} from './answers.ts';
import type { RoundSkus } from './skus.ts';
import type {
  DeductionLine,
  DeductionSent,
  Entry,
  LineKey,
  LookUpSent,
  ResizeSent,
  SaleSent,
  StockRead,
  Write,
} from './history.ts';
import type { Random } from './random.ts';
import type { GatewaySlot } from './slot.ts';

/** The context of an operation of the traffic. */
export interface Scene {
  readonly prefix: string;
  readonly random: Random;
  readonly goods: RoundSkus;
  readonly history: Entry[];
  /** Sends to a random gateway, or to the one that `how` names. @throws when no answer came */
  send(
    listener: 'public' | 'admin',
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    body?: unknown,
    how?: ProofCallOptions,
  ): Promise<Answer>;
  /** A number that is new in this round. */
  next(): number;
}

export interface ProofCallOptions {
  readonly through?: GatewaySlot;
  /** After this many milliseconds without an answer the client closes the connection. */
  readonly waitMs?: number;
}

/** Sends an order and records its answer. */
export async function sendOrder(
  scene: Scene,
  order_id: string,
  lines: readonly DeductionLine[],
  how: ProofCallOptions = {},
): Promise<DeductionSent> {
  const call = await timed(() => scene.send('public', 'POST', '/v1/deductions', { order_id, lines }, how));
  const replays = replaysOf(call, order_id, lines);
  return record(scene, {
    kind: 'deduction',
    order_id,
    lines,
    ...outcomeOf(call),
    replayed: replayedOf(call, 'both'),
    replays,
    refused: refusedLinesOf(call),
  });
}

/** Sends a return. */
export async function sendReturn(
  scene: Scene,
  { sku_id, order_detail_id }: LineKey,
  return_id: string,
  quantity: number,
): Promise<Entry> {
  const call = await timed(() =>
    scene.send('public', 'POST', '/v1/returns', { return_id, order_detail_id, sku_id, quantity }),
  );
  const returned = numberOf(bodyOf(call)?.returned);
  const returnable = numberOf(bodyOf(call)?.returnable);
  return record(scene, {
    kind: 'return',
    sku_id,
    order_detail_id,
    return_id,
    quantity,
    ...outcomeOf(call),
    replayed: replayedOf(call, 'status'),
    returned,
    returnable,
  });
}

/** Cancels lines of an order. */
export async function sendCancellation(scene: Scene, order_id: string, lines: readonly LineKey[]): Promise<Entry> {
  const keys = lines.map(({ sku_id, order_detail_id }) => ({ sku_id, order_detail_id }));
  const call = await timed(() => scene.send('public', 'POST', '/v1/cancellations', { order_id, lines: keys }));
  return record(scene, {
    kind: 'cancellation',
    order_id,
    lines: keys,
    ...outcomeOf(call),
    replayed: replayedOf(call, 'body'),
    states: statesOf(call, keys),
  });
}

/** Sends a restock or a write-off. */
export async function sendAdjustment(
  scene: Scene,
  sku_id: string,
  adjustment_id: string,
  delta: number,
): Promise<Entry> {
  const path = `/v1/skus/${encodeURIComponent(sku_id)}/adjustments`;
  const call = await timed(() => scene.send('admin', 'POST', path, { adjustment_id, delta }));
  return record(scene, {
    kind: 'adjustment',
    sku_id,
    adjustment_id,
    delta,
    ...outcomeOf(call),
    replayed: replayedOf(call, 'both'),
  });
}

/** Opens a SKU. */
export async function sendOpening(scene: Scene, sku_id: string, leaved_amount: number): Promise<Entry> {
  const call = await timed(() =>
    scene.send('admin', 'PUT', `/v1/skus/${encodeURIComponent(sku_id)}`, { leaved_amount }),
  );
  return record(scene, {
    kind: 'opening',
    sku_id,
    leaved_amount,
    ...outcomeOf(call),
    replayed: replayedOf(call, 'both'),
  });
}

/** Pauses the sale of a SKU, or resumes it. */
export async function sendSale(scene: Scene, sku_id: string, state: SaleSent['state']): Promise<Entry> {
  const call = await timed(() => scene.send('admin', 'PUT', `/v1/skus/${encodeURIComponent(sku_id)}/sale`, { state }));
  return record(scene, { kind: 'sale', sku_id, state, ...outcomeOf(call) });
}

/** Requests that a SKU is split into so many rows; one row merges it. */
export async function sendResize(
  scene: Scene,
  sku_id: string,
  sub_rows: number,
  how: ProofCallOptions = {},
): Promise<ResizeSent> {
  const path = `/v1/skus/${encodeURIComponent(sku_id)}/hot`;
  const call = await timed(() =>
    sub_rows === 1
      ? scene.send('admin', 'DELETE', path, undefined, how)
      : scene.send('admin', 'PUT', path, { sub_rows }, how),
  );
  return record(scene, { kind: 'resize', sku_id, sub_rows, rowShards: rowShardsOf(call), ...outcomeOf(call) });
}

/** Sends the same ids with the same content again, to a random gateway. */
export function resend(scene: Scene, write: Write): Promise<Entry> {
  switch (write.kind) {
    case 'deduction':
      return sendOrder(scene, write.order_id, write.lines);
    case 'return':
      return sendReturn(scene, write, write.return_id, write.quantity);
    case 'cancellation':
      return sendCancellation(scene, write.order_id, write.lines);
    case 'adjustment':
      return sendAdjustment(scene, write.sku_id, write.adjustment_id, write.delta);
    case 'opening':
      return sendOpening(scene, write.sku_id, write.leaved_amount);
    case 'sale':
      return sendSale(scene, write.sku_id, write.state);
    case 'resize':
      return sendResize(scene, write.sku_id, write.sub_rows);
  }
}

/** Reads the units left of a SKU. */
export async function sendStockRead(scene: Scene, sku_id: string): Promise<StockRead> {
  const call = await timed(() => scene.send('public', 'GET', `/v1/skus/${encodeURIComponent(sku_id)}`));
  const sending = outcomeOf(call);
  if (sending.verdict !== 'done') return record(scene, { kind: 'read', sku_id, leaved_amount: null, ...sending });
  const { leaved_amount, sub_rows = [], in_transit } = bodyOf(call) ?? {};
  const rows = sub_rows as readonly { readonly leaved_amount: number }[];
  const addsUp = rows.reduce((sum, row) => sum + row.leaved_amount, Number(in_transit)) === leaved_amount;
  return record(scene, { kind: 'read', sku_id, leaved_amount: numberOf(leaved_amount), addsUp, ...sending });
}

/** Looks up several lines in one request. @returns an entry for each line */
export async function sendLookUp(scene: Scene, lines: readonly LineKey[]): Promise<LookUpSent[]> {
  const keys = lines.map(({ sku_id, order_detail_id }) => ({ sku_id, order_detail_id }));
  const call = await timed(() => scene.send('public', 'POST', '/v1/deductions/lookup', { lines: keys }));
  const states = (bodyOf(call)?.lines ?? []) as unknown[];
  return keys.map((key, index) =>
    record(scene, {
      kind: 'lookup',
      ...key,
      found: foundOf(states[index], key),
      ...readOf(states[index], outcomeOf(call)),
    }),
  );
}

/** Looks up one line by its path. Status 404 counts as the answer `none`. */
export async function lookUpOne(scene: Scene, { sku_id, order_detail_id }: LineKey): Promise<LookUpSent> {
  const key = { sku_id, order_detail_id };
  const path = `/v1/deductions/${encodeURIComponent(order_detail_id)}?sku_id=${encodeURIComponent(sku_id)}`;
  const call = await timed(() => scene.send('public', 'GET', path));
  const sending = outcomeOf(call);
  if (sending.code === 'unknown_deduction')
    return record(scene, {
      kind: 'lookup',
      ...key,
      ...sending,
      found: { status: 'none' },
      verdict: 'done',
      code: null,
    });
  return record(scene, { kind: 'lookup', ...key, found: foundOf(bodyOf(call), key), ...sending });
}

/** A line with the status `unavailable` was not read, so its part of the answer counts as no answer. */
function readOf(state: unknown, sending: ReturnType<typeof outcomeOf>): ReturnType<typeof outcomeOf> {
  const { status } = (state ?? {}) as { status?: unknown };
  return status === 'unavailable' && sending.verdict === 'done'
    ? { ...sending, verdict: 'undone', code: status }
    : sending;
}

function record<E extends Entry>(scene: Scene, entry: E): E {
  scene.history.push(entry);
  return entry;
}
