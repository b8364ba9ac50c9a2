import { resend, sendOrder } from './calls.ts';
import type { ProofCallOptions, Scene } from './calls.ts';
import type { DeductionLine, DeductionSent, Entry, Write } from './history.ts';
import { recent } from './recent.ts';

/** Sends an order with new ids, with one line for each of these SKUs. */
export function newOrder(scene: Scene, sku_ids: readonly string[], how: ProofCallOptions = {}): Promise<DeductionSent> {
  return sendOrder(scene, newOrderId(scene), linesOf(scene, sku_ids), how);
}

/** An order id that is new in this round. */
export function newOrderId(scene: Scene): string {
  return `${scene.prefix}-o${scene.next()}`;
}

/** Lines with new ids for some SKUs, one to three units each. */
export function linesOf(scene: Scene, sku_ids: readonly string[]): DeductionLine[] {
  return sku_ids.map((sku_id) => ({
    sku_id,
    order_detail_id: `${scene.prefix}-d${scene.next()}`,
    quantity: scene.random.whole(1, 3),
  }));
}

/** Sends a recent write of a kind again; null without one. */
export async function again(scene: Scene, kind: Write['kind']): Promise<Entry | null> {
  const write = recent(scene, kind);
  return write === null ? null : resend(scene, write);
}
