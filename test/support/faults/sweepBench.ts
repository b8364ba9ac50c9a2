import { randomBytes } from 'node:crypto';
import { slotOf, SLOT_COUNT } from '../../../src/core/slots.ts';
import { readBalancesOf } from '../../../scripts/support/books.ts';
import type { Answer } from '../../../scripts/support/httpClient.ts';
import { httpClient } from '../../../scripts/support/httpClient.ts';
import { fresh, startTestGateway } from '../gateway/gateway.ts';
import { ownShards } from '../rows/ownShards.ts';
import type { OwnShards } from '../rows/ownShards.ts';
import { eventually } from '../run/eventually.ts';
import { skuOn } from '../engines/traffic.ts';
import type { Balance, Call, CaseIds } from './sweptCalls.ts';

/** The listeners of a gateway, whichever process it is in. */
export interface ListenerUrls {
  readonly publicUrl: string;
  readonly adminUrl: string;
}

/** Four shards of its own on two servers, two gateways over them with different engines, and the expected balances. */
export interface SweepBench {
  readonly own: OwnShards;
  readonly healthy: readonly [ListenerUrls, ListenerUrls];
  /** @returns null when no complete answer came: then the effect is unknown */
  send(to: ListenerUrls, call: Call, waitMs?: number): Promise<Answer | null>;
  /** Unused ids, on a shard whose slots do not move. */
  idsOn(shard: number): CaseIds;
  /** Unused ids, of which two SKUs lie together in a slot of the first shard that no other case uses now. */
  idsToMove(): Promise<CaseIds & SlotToMove>;
  /** Moves a slot from the first shard to the second. Running gateways still try the first shard first. */
  moveSlot(slot: SlotToMove): Promise<void>;
  /** Leaves a hold of a cart or a transaction whose record is missing. The sweepers do not find the hold. */
  leaveHold(ids: CaseIds, of: 'cart' | 'transaction'): Promise<void>;
  /** Waits until no unit of the SKUs is held: holds are completed after the answer. */
  nothingHeld(ids: CaseIds): Promise<void>;
  /** Records the balance that a SKU must have from now on. */
  expectBalance(sku_id: string, balance: Balance): void;
  /** Every SKU whose rows or journal, read from the databases, differ from its recorded balance. */
  wrongBalances(): Promise<string[]>;
  stop(): Promise<void>;
}

/** A slot of the first shard. */
export interface SlotToMove {
  readonly slot: number;
  /** The epoch of its claim by the second shard. */
  readonly epoch: number;
}

/** Shards 0 and 2 are on the first server, 1 and 3 on the second. */
const SHARDS = 4;
/** A slot of the first shard that is not moved; the next slots belong to the other shards. */
const STAYS = SLOT_COUNT - SHARDS;
/** The slots of the first shard that are moved, one after the other. */
const MOVED = STAYS / SHARDS;
/** Other gateways abort a transaction of this age that has no record. */
const ABANDONED_MS = 10_000;
const HELD_MS = 10_000;
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
  let cases = 0;

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
        sku_ids: [skuOn(shard, `${name}-a`, SHARDS), skuOn(shard, `${name}-b`, SHARDS), ...besideOf(name)],
      };
    },
    async idsToMove() {
      const slot = (cases % MOVED) * SHARDS;
      const times = Math.floor(cases / MOVED);
      cases += 1;
      // An earlier case has moved it.
      if (times > 0) await claimSlot(own, { slot, epoch: 2 * times }, 0);
      const name = fresh('sweep');
      return {
        ...{ name, slot, epoch: 2 * times + 1, ...ordersOf(name) },
        sku_ids: [skuIn(slot, `${name}-a`), skuIn(slot, `${name}-b`), ...besideOf(name)],
      };
    },
    moveSlot: (slot) => claimSlot(own, slot, 1),
    async leaveHold({ sku_ids: [sku_id], name }, of) {
      // Without its row in `cart_hold` no sweeper finds the hold before the operation does.
      const [sku, detail, order] = [sku_id, `${name}-0`, `order-${name}`].map((id) => `'${id}'`);
      const [attempt, transaction] = of === 'cart' ? [1, 'NULL, NULL'] : [0, `x'${abandonedId()}', 0`];
      await own.query(
        1,
        `INSERT INTO flow (sku_id, order_detail_id, order_id, quantity, attempt, status, transaction_id, coordinator)
         VALUES (${sku}, ${detail}, ${order}, 2, ${attempt}, 'pending', ${transaction})`,
      );
      await own.query(1, `UPDATE stock SET leaved_amount = leaved_amount - 2, held_amount = 2 WHERE sku_id = ${sku}`);
    },
    nothingHeld: ({ sku_ids }) =>
      eventually('nothing is held', HELD_MS, async () => {
        const list = sku_ids.map((sku_id) => `'${sku_id}'`).join();
        const sql = `SELECT sku_id FROM cart_hold WHERE sku_id IN (${list})`;
        const rows = await Promise.all(Array.from({ length: SHARDS }, (_, shard) => own.query(shard, sql)));
        return rows.every(({ length }) => length === 0);
      }),
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

/** Moves a slot between the first shard and the second. */
async function claimSlot(own: OwnShards, { slot, epoch }: SlotToMove, shard: 0 | 1): Promise<void> {
  await own.query(1 - shard, `DELETE FROM slot WHERE slot = ${slot}`);
  await own.query(shard, `INSERT INTO slot (slot, epoch) VALUES (${slot}, ${epoch})`);
}

/** A SKU of the first shard, and one of another shard on the server of the second. */
function besideOf(name: string): [string, string] {
  return [skuIn(STAYS, `${name}-c`), skuIn(STAYS + 3, `${name}-d`)];
}

function abandonedId(): string {
  return (Date.now() - ABANDONED_MS).toString(16).padStart(12, '0') + randomBytes(10).toString('hex');
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
