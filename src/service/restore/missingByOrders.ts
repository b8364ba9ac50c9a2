import { chunksOf } from '../../core/async/chunksOf.ts';
import type { MissingRecord, OrderedLine } from '../../core/restore/missingRecord.ts';
import { flowKeyText } from '../../core/types.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import type { Auditor } from '../../core/ports/auditor.ts';
import { byShard } from '../routing/lineRouter.ts';
import { mapWithLimit } from '../tasks/mapWithLimit.ts';
import type { Routing } from '../routing/routing.ts';
import { byRecordShard, recordShardOf } from '../carts/recordShard.ts';
import { mergeMissing } from './mergeMissing.ts';
import { missingCart } from './missingCarts.ts';
import { uncommittedCarts } from './uncommittedCarts.ts';

const KEYS_AT_A_TIME = 400;
const WIDTH = 4;

export interface OrderPorts {
  readonly routing: Routing;
  readonly auditor: Auditor;
  readonly shardCount: number;
  /** The restored shards. */
  readonly restored: ReadonlySet<ShardIndex>;
}

/**
 * Finds lines that the shop has sold and that have no deduction. Each line is looked up on the owner of its SKU first.
 * A line that is not there may be on any shard where the SKU has or had rows, so the few that remain are looked up on
 * all other shards.
 *
 * @param onLine called after each look-up on owners, with the number of its lines
 */
export async function missingByOrders(
  { routing, auditor, shardCount, restored }: OrderPorts,
  lines: readonly OrderedLine[],
  deadlineMs: DeadlineMs,
  onLine: (count: number) => void = () => undefined,
): Promise<MissingRecord[]> {
  const carts: MissingRecord[] = [];
  const missingAt = async (shard: ShardIndex, some: readonly OrderedLine[]): Promise<readonly OrderedLine[]> => {
    const found = new Map((await auditor.readFlows(shard, some, deadlineMs)).map((flow) => [flowKeyText(flow), flow]));
    return some.filter((line) => {
      const flow = found.get(flowKeyText(line));
      // A line of a sold cart, whose record may be missing: without the record the hold would be undone.
      if (flow?.status === 'pending' && flow.order_id === line.order_id && restored.has(recordShardOf(routing, flow))) {
        const { sku_id, order_detail_id, quantity } = line;
        const { order_id, attempt, transaction } = flow;
        const lines = [{ sku_id, order_detail_id, quantity, shard }];
        carts.push(
          missingCart({ order_id, attempt, ...(transaction === undefined ? {} : { transaction }), lines }, line.toldBy),
        );
      }
      if (flow?.order_id !== line.order_id) return true;
      // A hold in a backup is no sale: its attempt may have been undone, and the order sold by another attempt. On
      // shards that were not restored, the hold is completed by its cart record.
      return flow.status === 'pending'
        ? restored.has(shard)
        : flow.status !== 'deducted' && flow.status !== 'cancelled';
    });
  };
  const atOwners = [...byShard(lines.map((line) => ({ ...line, shard: routing.map.shardOf(line.sku_id) })))].flatMap(
    ([shard, ofShard]) => chunksOf(ofShard, KEYS_AT_A_TIME).map((some) => ({ shard, some })),
  );
  const missingAtOwners = await mapWithLimit(atOwners, WIDTH, async ({ shard, some }) => {
    const missing = await missingAt(shard, some);
    onLine(some.length);
    return missing;
  });
  let missing: readonly OrderedLine[] = missingAtOwners.flat();
  for (let shard = 0; shard < shardCount; shard += 1) {
    const others = chunksOf(
      missing.filter(({ sku_id }) => routing.map.shardOf(sku_id) !== shard),
      KEYS_AT_A_TIME,
    );
    const still = (await mapWithLimit(others, WIDTH, (some) => missingAt(shard, some))).flat();
    missing = [...still, ...missing.filter(({ sku_id }) => routing.map.shardOf(sku_id) === shard)];
  }
  const flows = missing.map(({ sku_id, order_detail_id, order_id, quantity, toldBy }): MissingRecord => ({
    kind: 'flow',
    toldBy,
    sku_id,
    order_id,
    order_detail_id,
    id: null,
    quantity,
    redo: { kind: 'deduct', order_id, lines: [{ sku_id, order_detail_id, quantity }] },
  }));
  return [...(await unsold(auditor, routing, mergeMissing(carts), deadlineMs)), ...flows];
}

/** Selects the carts whose record is not `committed`. */
async function unsold(
  auditor: Auditor,
  routing: Routing,
  carts: readonly MissingRecord[],
  deadlineMs: DeadlineMs,
): Promise<MissingRecord[]> {
  const keyed = carts.flatMap((missing) =>
    missing.redo?.kind === 'record' ? [{ ...missing.redo.cart, missing }] : [],
  );
  const lost: MissingRecord[] = [];
  for (const [shard, ofShard] of byRecordShard(routing, keyed))
    lost.push(...(await uncommittedCarts(auditor, shard, ofShard, deadlineMs)).map(({ missing }) => missing));
  return lost;
}
