import type { Answer } from '../../scripts/support/httpClient.ts';
import {
  bodyOf,
  foundOf,
  numberOf,
  placesOf,
  refusedLinesOf,
  replayedOf,
  replaysOf,
  statesOf,
  timed,
  verdictOf,
} from './answers.ts';
import type { Goods } from './goods.ts';
import type {
  DeductionLine,
  DeductionSent,
  Entry,
  LineKey,
  LookedUp,
  ResizeSent,
  SaleSent,
  StockRead,
  Write,
} from './history.ts';
import type { Random } from './random.ts';
import type { GatewaySlot } from './slot.ts';

/** What an operation has at hand. */
export interface Scene {
  readonly prefix: string;
  readonly random: Random;
  readonly goods: Goods;
  readonly history: Entry[];
  /** Sends to one of the gateways, whichever unless it is said. @throws when no answer came */
  send(
    listener: 'public' | 'admin',
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    body?: unknown,
    how?: SendOptions,
  ): Promise<Answer>;
  /** A number never given before in this round. */
  next(): number;
}

export interface SendOptions {
  readonly through?: GatewaySlot;
  /** When the client hangs up. */
  readonly waitMs?: number;
}

/** Sends an order and writes down what the client was told. */
export async function sendOrder(
  scene: Scene,
  order_id: string,
  lines: readonly DeductionLine[],
): Promise<DeductionSent> {
  const told = await timed(() => scene.send('public', 'POST', '/v1/deductions', { order_id, lines }));
  const replays = replaysOf(told, order_id, lines);
  return note(scene, {
    kind: 'deduction',
    order_id,
    lines,
    ...verdictOf(told),
    replayed: replayedOf(told, 'both'),
    replays,
    refused: refusedLinesOf(told),
  });
}

/** Sends goods back. */
export async function sendReturn(
  scene: Scene,
  { sku_id, order_detail_id }: LineKey,
  return_id: string,
  quantity: number,
): Promise<Entry> {
  const told = await timed(() =>
    scene.send('public', 'POST', '/v1/returns', { return_id, order_detail_id, sku_id, quantity }),
  );
  const returned = numberOf(bodyOf(told)?.returned);
  const returnable = numberOf(bodyOf(told)?.returnable);
  return note(scene, {
    kind: 'return',
    sku_id,
    order_detail_id,
    return_id,
    quantity,
    ...verdictOf(told),
    replayed: replayedOf(told, 'status'),
    returned,
    returnable,
  });
}

/** Cancels lines of an order. */
export async function sendCancellation(scene: Scene, order_id: string, lines: readonly LineKey[]): Promise<Entry> {
  const keys = lines.map(({ sku_id, order_detail_id }) => ({ sku_id, order_detail_id }));
  const told = await timed(() => scene.send('public', 'POST', '/v1/cancellations', { order_id, lines: keys }));
  return note(scene, {
    kind: 'cancellation',
    order_id,
    lines: keys,
    ...verdictOf(told),
    replayed: replayedOf(told, 'body'),
    states: statesOf(told, keys),
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
  const told = await timed(() => scene.send('admin', 'POST', path, { adjustment_id, delta }));
  return note(scene, {
    kind: 'adjustment',
    sku_id,
    adjustment_id,
    delta,
    ...verdictOf(told),
    replayed: replayedOf(told, 'both'),
  });
}

/** Puts a SKU on the shelf. */
export async function sendOpening(scene: Scene, sku_id: string, leaved_amount: number): Promise<Entry> {
  const told = await timed(() =>
    scene.send('admin', 'PUT', `/v1/skus/${encodeURIComponent(sku_id)}`, { leaved_amount }),
  );
  return note(scene, {
    kind: 'opening',
    sku_id,
    leaved_amount,
    ...verdictOf(told),
    replayed: replayedOf(told, 'both'),
  });
}

/** Pauses the sale of a SKU, or resumes it. */
export async function sendSale(scene: Scene, sku_id: string, state: SaleSent['state']): Promise<Entry> {
  const told = await timed(() => scene.send('admin', 'PUT', `/v1/skus/${encodeURIComponent(sku_id)}/sale`, { state }));
  return note(scene, { kind: 'sale', sku_id, state, ...verdictOf(told) });
}

/** Has a SKU laid out in so many rows. */
export async function sendResize(
  scene: Scene,
  sku_id: string,
  sub_rows: number,
  how: SendOptions = {},
): Promise<ResizeSent> {
  const path = `/v1/skus/${encodeURIComponent(sku_id)}/hot`;
  const told = await timed(() =>
    sub_rows === 1
      ? scene.send('admin', 'DELETE', path, undefined, how)
      : scene.send('admin', 'PUT', path, { sub_rows }, how),
  );
  return note(scene, { kind: 'resize', sku_id, sub_rows, places: placesOf(told), ...verdictOf(told) });
}

/** Sends the same ids with the same content again, to whichever gateway. */
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

/** Asks what is left. */
export async function readStock(scene: Scene, sku_id: string): Promise<StockRead> {
  const told = await timed(() => scene.send('public', 'GET', `/v1/skus/${encodeURIComponent(sku_id)}`));
  const sending = verdictOf(told);
  if (sending.verdict !== 'done') return note(scene, { kind: 'read', sku_id, leaved_amount: null, ...sending });
  const { leaved_amount, sub_rows = [], in_transit } = bodyOf(told) ?? {};
  const rows = sub_rows as readonly { readonly leaved_amount: number }[];
  const addsUp = rows.reduce((sum, row) => sum + row.leaved_amount, Number(in_transit)) === leaved_amount;
  return note(scene, { kind: 'read', sku_id, leaved_amount: numberOf(leaved_amount), addsUp, ...sending });
}

/** Asks what became of lines, in one question. @returns what is known of each */
export async function lookUp(scene: Scene, lines: readonly LineKey[]): Promise<LookedUp[]> {
  const keys = lines.map(({ sku_id, order_detail_id }) => ({ sku_id, order_detail_id }));
  const told = await timed(() => scene.send('public', 'POST', '/v1/deductions/lookup', { lines: keys }));
  const states = (bodyOf(told)?.lines ?? []) as unknown[];
  return keys.map((key, index) =>
    note(scene, {
      kind: 'lookup',
      ...key,
      found: foundOf(states[index], key),
      ...readOf(states[index], verdictOf(told)),
    }),
  );
}

/** Asks what became of one line by its address. That nothing is there is an answer like any other. */
export async function lookUpOne(scene: Scene, { sku_id, order_detail_id }: LineKey): Promise<LookedUp> {
  const key = { sku_id, order_detail_id };
  const path = `/v1/deductions/${encodeURIComponent(order_detail_id)}?sku_id=${encodeURIComponent(sku_id)}`;
  const told = await timed(() => scene.send('public', 'GET', path));
  const sending = verdictOf(told);
  if (sending.code === 'unknown_deduction')
    return note(scene, { kind: 'lookup', ...key, ...sending, found: { status: 'none' }, verdict: 'done', code: null });
  return note(scene, { kind: 'lookup', ...key, found: foundOf(bodyOf(told), key), ...sending });
}

/** A line that is unavailable was not read: its part of the answer is no answer. */
function readOf(state: unknown, sending: ReturnType<typeof verdictOf>): ReturnType<typeof verdictOf> {
  const { status } = (state ?? {}) as { status?: unknown };
  return status === 'unavailable' && sending.verdict === 'done'
    ? { ...sending, verdict: 'undone', code: status }
    : sending;
}

function note<E extends Entry>(scene: Scene, entry: E): E {
  scene.history.push(entry);
  return entry;
}
