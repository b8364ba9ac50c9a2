import { refusalOfCart } from '../replay/carts.ts';
import type { Cart } from '../replay/carts.ts';
import type { FinalAnswer, Sender } from '../replay/sender.ts';
import type { ShopRecord } from './shopRecord.ts';

export interface ShopsOptions {
  readonly sender: Sender;
  readonly concurrency: number;
  /** One cart in this many is sent a second time, to another gateway, as after a lost reply. */
  readonly replayEvery: number;
  readonly onAnswered: () => void;
}

/**
 * Sends all carts from many clients at once.
 *
 * @throws when the contract does not allow an answer here
 */
export async function sellAll(carts: readonly Cart[], options: ShopsOptions): Promise<ShopRecord> {
  const ledger: ShopRecord = { sold: [], refused: [], faults: [], answered: [], replayed: 0 };
  const queue = carts.entries();
  const client = async (): Promise<void> => {
    for (const [index, cart] of queue) {
      await sellOne(cart, index, options, ledger);
      options.onAnswered();
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, client));
  return ledger;
}

async function sellOne(cart: Cart, index: number, options: ShopsOptions, ledger: ShopRecord): Promise<void> {
  const { status, body, latencyMs } = await send(cart, index, options.sender);
  ledger.answered.push({ lineCount: cart.lines.length, latencyMs });
  if (status === 201 || status === 200) {
    ledger.sold.push(cart);
    if (index % options.replayEvery === 0) await replay(cart, index + 1, options, ledger);
  } else if (status === 409 && body?.code === 'insufficient_stock') {
    const { short, faults } = refusalOfCart(cart, body);
    ledger.refused.push({ cart, short });
    ledger.faults.push(...faults);
  } else {
    throw new Error(`order ${cart.order_id}: ${status} ${JSON.stringify(body)}`);
  }
}

async function replay(cart: Cart, index: number, { sender }: ShopsOptions, ledger: ShopRecord): Promise<void> {
  const { status, body } = await send(cart, index, sender);
  if (status !== 200 || body?.replayed !== true) {
    throw new Error(`order ${cart.order_id}: sent again, it was answered ${status} ${JSON.stringify(body)}`);
  }
  ledger.replayed += 1;
}

function send({ order_id, lines }: Cart, index: number, sender: Sender): Promise<FinalAnswer> {
  return sender.untilFinalAnswer(
    { path: '/v1/deductions', body: { order_id, lines }, what: `order ${order_id}` },
    index,
  );
}
