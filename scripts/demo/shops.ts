import type { Answer, HttpClient } from '../support/httpClient.ts';
import type { Sale } from './day.ts';
import type { Ledger } from './ledger.ts';

export interface ShopsOptions {
  readonly client: HttpClient;
  /** The public listeners of all gateways; any of them will do for any request. */
  readonly gateways: readonly string[];
  readonly concurrency: number;
  /** Every so many-th sale is sent a second time, to another gateway, as after a lost reply. */
  readonly replayEvery: number;
  readonly onSold: (sent: number) => void;
}

/** A shop gives up on a sale after this many attempts without a verdict. */
const ATTEMPTS_MAX = 20;

/**
 * Sends all sales from many clients at once.
 *
 * @throws when an answer is none that the contract allows here
 */
export async function sellAll(sales: readonly Sale[], options: ShopsOptions): Promise<Ledger> {
  const ledger: Ledger = { latenciesMs: [], deducted: [], refused: [], replayed: 0, retried: 0 };
  let next = 0;
  const clients = Array.from({ length: options.concurrency }, async () => {
    while (next < sales.length) {
      const index = next;
      next += 1;
      const sale = sales[index];
      if (sale !== undefined) await sellOne(sale, index, options, ledger);
      options.onSold(next);
    }
  });
  await Promise.all(clients);
  return ledger;
}

async function sellOne(sale: Sale, index: number, options: ShopsOptions, ledger: Ledger): Promise<void> {
  const { status, body } = await untilVerdict(sale, index, options, ledger);
  if (status === 201 || status === 200) {
    ledger.deducted.push(sale);
    if (index % options.replayEvery === 0) await replay(sale, index + 1, options, ledger);
  } else if (status === 409 && body?.code === 'insufficient_stock') {
    ledger.refused.push(sale);
  } else {
    throw new Error(`${sale.order_detail_id}: ${status} ${JSON.stringify(body)}`);
  }
}

async function replay(sale: Sale, index: number, options: ShopsOptions, ledger: Ledger): Promise<void> {
  const { status, body } = await untilVerdict(sale, index, options, ledger);
  if (status !== 200 || body?.replayed !== true) {
    throw new Error(`${sale.order_detail_id}: sent again, it was answered ${status} ${JSON.stringify(body)}`);
  }
  ledger.replayed += 1;
}

/** Sends the same ids until there is a verdict, as the contract asks of a shop. */
async function untilVerdict(sale: Sale, index: number, options: ShopsOptions, ledger: Ledger): Promise<Answer> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const answer = await attemptOnce(sale, index + attempt, options, ledger);
    if (answer !== null && answer.status !== 503) return answer;
    ledger.retried += 1;
    await new Promise((resolve) => setTimeout(resolve, 100 * (attempt + 1)));
  }
  throw new Error(`${sale.order_detail_id}: no verdict after ${ATTEMPTS_MAX} attempts`);
}

async function attemptOnce(sale: Sale, index: number, { client, gateways }: ShopsOptions, ledger: Ledger): Promise<Answer | null> {
  const { order_id, ...line } = sale;
  const startedMs = performance.now();
  try {
    return await client.call({
      method: 'POST',
      url: `${gateways[index % gateways.length]}/v1/deductions`,
      body: { order_id, lines: [line] },
    });
  } catch {
    return null;
  } finally {
    ledger.latenciesMs.push(performance.now() - startedMs);
  }
}
