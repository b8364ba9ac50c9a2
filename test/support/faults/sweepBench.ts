import { randomBytes } from 'node:crypto';
import { slotOf, SLOT_COUNT } from '../../../src/core/slots.ts';
import { readBalancesOf } from '../../../scripts/support/books.ts';
import type { Answer } from '../../../scripts/support/httpClient.ts';
import { httpClient } from '../../../scripts/support/httpClient.ts';
import { fresh, startTestGateway } from '../gateway/gateway.ts';
import { ownShards } from '../rows/ownShards.ts';
import type { OwnShards } from '../rows/ownShards.ts';
import { skuOn } from '../engines/traffic.ts';
import type { Balance, Call, CaseIds } from './sweptCalls.ts';

/** The listeners of a gateway, whichever process it is in. */
export interface ListenerUrls {
  readonly publicUrl: string;
  readonly adminUrl: string;
}

/** Two shards of its own, two healthy gateways over them with different engines, and the expected balances. */
export interface SweepBench {
  readonly own: OwnShards;
  readonly healthy: readonly [ListenerUrls, ListenerUrls];
  /** @returns null when no complete answer came: then the effect is unknown */
  send(to: ListenerUrls, call: Call, waitMs?: number): Promise<Answer | null>;
  /** Unused ids, on a shard whose slots do not move. */
  idsOn(shard: number): CaseIds;
  /** Unused ids, whose SKUs lie together in a slot of their own on the first shard. */
  idsToMove(): CaseIds & { readonly slot: number };
  /** Moves a slot from the first shard to the second. Running gateways still try the first shard first. */
  moveSlot(slot: number): Promise<void>;
  /** Leaves a hold of an order whose record is missing. The hold is too young for the sweepers. */
  leaveHold(ids: CaseIds, by: 'cart' | 'transaction'): Promise<void>;
  /** Records the balance that a SKU must have from now on. */
  expectBalance(sku_id: string, balance: Balance): void;
  /** Every SKU whose rows or journal, read from the databases, differ from its recorded balance. */
  wrongBalances(): Promise<string[]>;
  stop(): Promise<void>;
}

const SHARDS = 2;
/** A slot of the first shard that is not moved; the next slot belongs to the second shard. */
const STAYS = SLOT_COUNT - 2;
/** Longer than the 3 s that a request may take, because a small machine needs more time to answer. */
const ANSWER_MS = 6_000;

export async function startSweepBench(): Promise<SweepBench> {
  const own = await ownShards({ count: SHARDS, migrated: true });
  const gateways = [
    await startTestGateway({ STOCKGATE_ENGINE: 'batching' }, own),
    await startTestGateway({ STOCKGATE_ENGINE: 'textbook' }, own),
  ] as const;
  const client = httpClient(256);
  const expected = new Map<string, Balance>();
  let nextSlot = 0;

  return {
    own,
    healthy: gateways,
    send: (to, { listener, method, path, body }, waitMs = ANSWER_MS) =>
      client.call({ method, url: to[listener] + path, body, waitMs }).catch(() => null),
    idsOn(shard) {
      const name = fresh('sweep');
      return {
        name,
        ...ordersOf(name),
        sku_ids: [skuOn(shard, `${name}-a`, SHARDS), skuOn(shard, `${name}-b`, SHARDS), skuIn(STAYS, `${name}-c`)],
      };
    },
    idsToMove() {
      const slot = nextSlot;
      nextSlot += SHARDS;
      if (slot >= STAYS) throw new Error('more cases than slots');
      const name = fresh('sweep');
      return {
        name,
        slot,
        ...ordersOf(name),
        sku_ids: [skuIn(slot, `${name}-a`), skuIn(slot, `${name}-b`), skuIn(STAYS, `${name}-c`)],
      };
    },
    async moveSlot(slot) {
      await own.query(0, `DELETE FROM slot WHERE slot = ${slot}`);
      await own.query(1, `INSERT INTO slot (slot, epoch) VALUES (${slot}, 1)`);
    },
    async leaveHold({ sku_ids: [sku_id], name }, by) {
      // Without its row in `cart_hold` no sweeper finds the hold before the operation does.
      const [sku, detail, order] = [sku_id, `${name}-0`, `order-${name}`].map((id) => `'${id}'`);
      // The first digits of a transaction are the time of its beginning: this one is old.
      const id = randomBytes(10).toString('hex');
      const attempt = by === 'cart' ? '1, NULL, NULL' : `0, X'000000000000${id}', 0`;
      await own.query(
        1,
        `INSERT INTO flow (sku_id, order_detail_id, order_id, quantity, status, attempt, transaction_id, coordinator)
         VALUES (${sku}, ${detail}, ${order}, 2, 'pending', ${attempt})`,
      );
      await own.query(1, `UPDATE stock SET leaved_amount = leaved_amount - 2, held_amount = 2 WHERE sku_id = ${sku}`);
    },
    expectBalance: (sku_id, balance) => void expected.set(sku_id, balance),
    async wrongBalances() {
      const balances = (await readBalancesOf({ shards: await own.load(), initialShards: own.initialShards })).flat();
      const bySku = new Map<string, string[]>();
      for (const balance of balances)
        bySku.set(balance.sku_id, [...(bySku.get(balance.sku_id) ?? []), textOf(balance)]);
      return [...expected].flatMap(([sku_id, { opening, adjusted, deducted, flow_count, returned = 0 }]) => {
        const want = textOf({
          opening,
          adjusted,
          deducted,
          returned,
          leaved: opening + adjusted - deducted + returned,
          flow_count,
        });
        const found = (bySku.get(sku_id) ?? []).join(' and ');
        return found === want ? [] : [`${sku_id}: ${found || 'no row'} instead of ${want}`];
      });
    },
    async stop() {
      client.close();
      await Promise.all(gateways.map((gateway) => gateway.stop()));
      await own.drop();
    },
  };
}

function skuIn(slot: number, prefix: string): string {
  for (let number = 0; ; number += 1) if (slotOf(`${prefix}-${number}`) === slot) return `${prefix}-${number}`;
}

function ordersOf(name: string): Pick<CaseIds, 'order_id' | 'next_order_id'> {
  return { order_id: skuIn(STAYS + 1, `order-${name}`), next_order_id: skuIn(STAYS + 1, `next-${name}`) };
}

function textOf(balance: Readonly<Record<keyof Balance | 'leaved', number | bigint>>): string {
  const { opening, adjusted, deducted, returned, leaved, flow_count } = balance;
  const taken = `${deducted} deducted by ${flow_count}`;
  return `${opening} opened + ${adjusted} adjusted - ${taken} + ${returned} returned = ${leaved} left`;
}
