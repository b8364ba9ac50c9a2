import { setTimeout as sleep } from 'node:timers/promises';
import {
  sendLookUp,
  lookUpOne,
  sendStockRead,
  resend,
  sendAdjustment,
  sendCancellation,
  sendOpening,
  sendOrder,
  sendResize,
  sendReturn,
  sendSale,
} from './calls.ts';
import type { Scene } from './calls.ts';
import { pickOnDifferentShards, ROW_COUNTS, scarceOf } from './skus.ts';
import type { Entry } from './history.ts';
import { CART_OPERATIONS } from './cartOperations.ts';
import { again, linesOf, newOrder } from './newOrders.ts';
import { anyLine, doneOrder, latelyRestocked, recent } from './recent.ts';
import type { TrafficOperation } from './trafficOperation.ts';

/** The operations of the traffic. A new operation joins with one more entry here. */
export const BENCH_OPERATIONS: readonly TrafficOperation[] = [
  ...CART_OPERATIONS,
  {
    name: 'deduct',
    weight: 50,
    run: (scene) => {
      const sku_id =
        (scene.random.chance(0.05) ? recent(scene, 'opening')?.sku_id : null) ??
        scene.random.pick(scene.goods.byDemand);
      return newOrder(scene, [sku_id]);
    },
  },
  { name: 'deduct again', weight: 10, run: (scene) => again(scene, 'deduction') },
  {
    name: 'deduct with one more line',
    weight: 3,
    run: async (scene) => {
      const order = doneOrder(scene);
      if (order === null) return null;
      const sku_id = scene.random.pick(scene.goods.byDemand);
      return sendOrder(scene, order.order_id, [
        ...order.lines,
        { sku_id, order_detail_id: `${scene.prefix}-d${scene.next()}`, quantity: 1 },
      ]);
    },
  },
  {
    name: 'adjust',
    weight: 6,
    run: (scene) => {
      const delta = scene.random.chance(0.7) ? scene.random.whole(1, 10) : -scene.random.whole(1, 5);
      return sendAdjustment(scene, scene.random.pick(scene.goods.byDemand), `${scene.prefix}-a${scene.next()}`, delta);
    },
  },
  {
    // A gateway that refuses early must drop its reading of the sell-out in time.
    name: 'restock a scarce SKU, and buy it later',
    weight: 6,
    run: (scene) => {
      const restocked = scene.random.chance(0.5) ? latelyRestocked(scene) : null;
      if (restocked !== null) return newOrder(scene, [restocked.sku_id]);
      return sendAdjustment(
        scene,
        scene.random.pick(scarceOf(scene.goods)),
        `${scene.prefix}-a${scene.next()}`,
        scene.random.whole(1, 3),
      );
    },
  },
  { name: 'adjust again', weight: 2, run: (scene) => again(scene, 'adjustment') },
  {
    name: 'open',
    weight: 2,
    run: (scene) => sendOpening(scene, `${scene.prefix}-new-${scene.next()}`, scene.random.whole(1, 20)),
  },
  {
    name: 'open again',
    weight: 2,
    run: (scene) => {
      const [sku_id, amount] = scene.random.pick([...scene.goods.opening]);
      const earlier = scene.random.chance(0.5) ? recent(scene, 'opening') : null;
      return earlier === null ? sendOpening(scene, sku_id, amount) : resend(scene, earlier);
    },
  },
  {
    name: 'return',
    weight: 5,
    run: async (scene) => {
      const line = anyLine(scene, doneOrder(scene));
      return line === null
        ? null
        : sendReturn(scene, line, `${scene.prefix}-r${scene.next()}`, scene.random.whole(1, line.quantity));
    },
  },
  { name: 'return again', weight: 3, run: (scene) => again(scene, 'return') },
  {
    name: 'return too much',
    weight: 1,
    ends: 'refused',
    run: async (scene) => {
      const line = anyLine(scene, doneOrder(scene));
      return line === null ? null : sendReturn(scene, line, `${scene.prefix}-r${scene.next()}`, line.quantity + 1);
    },
  },
  {
    name: 'cancel',
    weight: 3,
    run: async (scene) => {
      const order = doneOrder(scene);
      const line = anyLine(scene, order);
      if (order === null || line === null) return null;
      return sendCancellation(scene, order.order_id, scene.random.chance(0.7) ? order.lines : [line]);
    },
  },
  { name: 'cancel again', weight: 2, run: (scene) => again(scene, 'cancellation') },
  {
    name: 'cancel before the order',
    weight: 2,
    ends: 'refused',
    run: async (scene) => {
      const order_id = `${scene.prefix}-o${scene.next()}`;
      const lines = linesOf(
        scene,
        scene.random.chance(0.5)
          ? [scene.random.pick(scene.goods.byDemand)]
          : pickOnDifferentShards(scene.goods, scene.random),
      );
      const cancelled = await sendCancellation(scene, order_id, lines);
      return cancelled.verdict === 'done' ? sendOrder(scene, order_id, lines) : cancelled;
    },
  },
  {
    name: 'cancel in flight',
    weight: 2,
    run: async (scene) => {
      const order_id = `${scene.prefix}-o${scene.next()}`;
      const lines = linesOf(
        scene,
        scene.random.chance(0.3)
          ? [scene.random.pick(scene.goods.byDemand)]
          : pickOnDifferentShards(scene.goods, scene.random),
      );
      const order = sendOrder(scene, order_id, lines);
      await sleep(scene.random.whole(0, 60));
      const cancelled = await sendCancellation(scene, order_id, lines);
      await order;
      return cancelled;
    },
  },
  {
    name: 'pause or resume',
    weight: 2,
    run: (scene) => sendSale(scene, scene.random.pick(scene.goods.pausable), scene.random.pick(['on', 'paused'])),
  },
  {
    name: 'deduct a SKU that may be paused',
    weight: 5,
    run: (scene) => {
      const sku_id = scene.random.pick(scene.goods.pausable);
      return newOrder(scene, scene.random.chance(0.7) ? [sku_id] : [sku_id, scene.random.pick(scene.goods.byDemand)]);
    },
  },
  {
    name: 'resize',
    weight: 3,
    run: (scene) => {
      // Some callers close the connection before they are answered.
      const how = scene.random.chance(0.2) ? { waitMs: scene.random.whole(3, 100) } : {};
      return sendResize(scene, scene.random.pick(scene.goods.split), scene.random.pick(ROW_COUNTS), how);
    },
  },
  {
    name: 'pause or resume while it is resized',
    weight: 2,
    run: async (scene) => {
      const sku_id = scene.random.pick(scene.goods.pausable.filter((pausable) => scene.goods.split.includes(pausable)));
      const resized = sendResize(scene, sku_id, scene.random.pick(ROW_COUNTS));
      await sleep(scene.random.whole(0, 60));
      const last = await sendSale(scene, sku_id, scene.random.pick(['on', 'paused']));
      await newOrder(scene, [sku_id]);
      await resized;
      return last;
    },
  },
  { name: 'resize again', weight: 1, run: (scene) => again(scene, 'resize') },
  { name: 'conflict', weight: 3, ends: 'refused', run: sendConflict },
  { name: 'read', weight: 4, run: (scene) => sendStockRead(scene, scene.random.pick(scene.goods.byDemand)) },
  {
    name: 'look up',
    weight: 3,
    run: async (scene) => {
      const line = anyLine(scene, recent(scene, 'deduction'));
      return line === null ? null : lookUpOne(scene, line);
    },
  },
  {
    name: 'look up several',
    weight: 3,
    run: async (scene) => {
      const orders = [recent(scene, 'deduction'), recent(scene, 'deduction')];
      const lines = new Map(
        orders.flatMap((order) => order?.lines ?? []).map((line) => [`${line.sku_id} ${line.order_detail_id}`, line]),
      );
      return lines.size === 0 ? null : ((await sendLookUp(scene, [...lines.values()])).at(-1) ?? null);
    },
  },
];

/** Sends ids that are stored, with another content. */
async function sendConflict(scene: Scene): Promise<Entry | null> {
  const write = recent(
    scene,
    scene.random.pick(['deduction', 'return', 'cancellation', 'adjustment', 'opening'] as const),
  );
  if (write?.verdict !== 'done') return null;
  switch (write.kind) {
    case 'deduction':
      if (scene.random.chance(0.3)) return sendCancellation(scene, `${write.order_id}-other`, write.lines);
      return scene.random.chance(0.5)
        ? sendOrder(scene, `${write.order_id}-other`, write.lines)
        : sendOrder(
            scene,
            write.order_id,
            write.lines.map((line) => ({ ...line, quantity: line.quantity + 1 })),
          );
    case 'return':
      return sendReturn(scene, write, write.return_id, write.quantity + 1);
    case 'cancellation':
      return sendCancellation(scene, `${write.order_id}-other`, write.lines);
    case 'adjustment':
      return sendAdjustment(scene, write.sku_id, write.adjustment_id, write.delta + 11);
    case 'opening':
      return sendOpening(scene, write.sku_id, write.leaved_amount + 1);
  }
}
