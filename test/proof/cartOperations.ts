import { resend, sendOrder } from './calls.ts';
import type { Scene } from './calls.ts';
import { OWNERS } from './rules/effects.ts';
import { linesOf, newOrder, newOrderId } from './newOrders.ts';
import { recent } from './recent.ts';
import { pickMany, pickOnDifferentServers, pickOnDifferentShards, pickOnOneServer } from './skus.ts';
import type { TrafficOperation } from './trafficOperation.ts';

/** More than any SKU has. */
const TOO_MANY = 1_000_000;
const SENDERS = 3;

/** Orders of several SKUs: on one shard, on several shards of one server, and over several servers. */
export const CART_OPERATIONS: readonly TrafficOperation[] = [
  {
    name: 'deduct several',
    isCart: true,
    weight: 8,
    run: (scene) => {
      const sku_ids = [...scene.random.pick(scene.goods.onOneShard)];
      return newOrder(scene, scene.random.chance(0.5) ? sku_ids : sku_ids.reverse());
    },
  },
  {
    name: 'cart',
    isCart: true,
    weight: 16,
    run: (scene) => newOrder(scene, pickOnDifferentShards(scene.goods, scene.random)),
  },
  {
    name: 'cart on one server',
    isCart: true,
    weight: 12,
    run: (scene) => newOrder(scene, pickOnOneServer(scene.goods, scene.random)),
  },
  {
    name: 'cart over several servers',
    isCart: true,
    weight: 16,
    run: (scene) => newOrder(scene, pickOnDifferentServers(scene.goods, scene.random)),
  },
  {
    name: 'cart of many lines',
    isCart: true,
    weight: 3,
    run: (scene) => newOrder(scene, pickMany(scene.goods, scene.random)),
  },
  {
    // It holds units on other servers before the short line refuses it.
    name: 'cart with a line that is short',
    isCart: true,
    weight: 4,
    ends: 'refused',
    run: (scene) => {
      const lines = linesOf(scene, pickEither(scene));
      const short = scene.random.whole(0, lines.length - 1);
      return sendOrder(
        scene,
        newOrderId(scene),
        lines.map((line, place) => (place === short ? { ...line, quantity: TOO_MANY } : line)),
      );
    },
  },
  {
    name: 'cart at several gateways at once',
    isCart: true,
    weight: 4,
    run: async (scene) => {
      const order_id = newOrderId(scene);
      const lines = linesOf(scene, pickEither(scene));
      const sent = await Promise.all(Array.from({ length: SENDERS }, () => sendOrder(scene, order_id, lines)));
      return sent.find(({ verdict }) => verdict === 'done') ?? sent[0] ?? null;
    },
  },
  {
    name: 'cart again',
    isCart: true,
    weight: 5,
    run: async (scene) => {
      const order = recent(scene, 'deduction', ({ lines }) => shardsOf(lines) > 1);
      return order === null ? null : resend(scene, order);
    },
  },
];

function pickEither(scene: Scene): string[] {
  const { goods, random } = scene;
  return random.chance(0.3) ? pickOnOneServer(goods, random) : pickOnDifferentServers(goods, random);
}

function shardsOf(lines: readonly { readonly sku_id: string }[]): number {
  return new Set(lines.map(({ sku_id }) => OWNERS.shardOf(sku_id))).size;
}
