import type { Answer } from '../support/httpClient.ts';
import { refusalOfCart } from './carts.ts';
import type { CartEvent, ReplayEvent, ReturnEvent } from './plan.ts';
import type { Message, Sender } from './sender.ts';

/**
 * The outcome of a request. `done`: it had its effect now, 201. `replayed`: it had its effect before, 200. `refused`: a
 * line of the cart is short. `unknown_deduction`: a return of goods that were not sold. `unclear`: any other answer.
 */
export interface Result {
  readonly is: 'done' | 'replayed' | 'refused' | 'unknown_deduction' | 'unclear';
  /** SKUs that were short. */
  readonly short?: readonly string[];
  /** Faults of the answer itself. */
  readonly faults: readonly string[];
  /** As `FinalAnswer.latencyMs`. */
  readonly latencyMs: number;
}

/** The meaning of an answer, without its time. */
type Meaning = Omit<Result, 'latencyMs'>;

export type Results = ReadonlyMap<ReplayEvent, Result>;

export interface PlayOptions {
  readonly sender: Sender;
  /** The number of concurrent requests. */
  readonly concurrency: number;
  /** The factor to the real speed; 0: as fast as possible. */
  readonly speed: number;
  readonly onAnswered: () => void;
}

/** The longest delay of a timer. */
const TIMER_MS_MAX = 2_000_000_000;

/**
 * Sends all events in their order; a return only after the answer to its sale.
 *
 * @throws when one has no final answer for a long time
 */
export async function play(events: readonly ReplayEvent[], options: PlayOptions): Promise<Results> {
  const results = new Map<ReplayEvent, Result>();
  const answers = new Map<ReplayEvent, Promise<Result>>();
  const startedMs = performance.now();
  const firstMs = events[0]?.invoicedAtMs ?? 0;
  const answerTo = async (event: ReplayEvent, index: number): Promise<Result> => {
    if (options.speed > 0) await sleepUntil(startedMs + (event.invoicedAtMs - firstMs) / options.speed);
    // The sale was taken from the queue earlier, so clients cannot wait for each other in a circle. The client of the
    // sale reports its failure.
    if (event.kind === 'return' && event.of !== null) await answers.get(event.of)?.catch(() => undefined);
    return sendOne(event, index, options.sender);
  };
  const queue = events.entries();
  const client = async (): Promise<void> => {
    for (const [index, event] of queue) {
      // Set before the first wait, so that the client of a return always finds its sale.
      const answer = answerTo(event, index);
      answers.set(event, answer);
      results.set(event, await answer);
      options.onAnswered();
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, client));
  return results;
}

async function sendOne(event: ReplayEvent, index: number, sender: Sender): Promise<Result> {
  const message = event.kind === 'cart' ? cartMessage(event) : returnMessage(event);
  const answer = await sender.untilFinalAnswer(message, index);
  const meaning = event.kind === 'cart' ? cartMeaning(event, answer) : returnMeaning(message.what, answer);
  return { ...meaning, latencyMs: answer.latencyMs };
}

function cartMessage({ order_id, lines }: CartEvent): Message {
  return { path: '/v1/deductions', body: { order_id, lines }, what: `order ${order_id}` };
}

function returnMessage({ return_id, order_detail_id, sku_id, quantity }: ReturnEvent): Message {
  const body = { return_id, order_detail_id, sku_id, quantity };
  return { path: '/v1/returns', body, what: `return ${return_id} of ${order_detail_id}, ${sku_id}` };
}

function cartMeaning(cart: CartEvent, { status, body, text }: Answer): Meaning {
  if (status === 409 && body?.code === 'insufficient_stock') return { is: 'refused', ...refusalOfCart(cart, body) };
  const fits =
    (status === 201 || status === 200) &&
    body?.lines?.length === cart.lines.length &&
    body.replayed === (status === 200);
  return fits
    ? { is: status === 201 ? 'done' : 'replayed', faults: [] }
    : unclear(`order ${cart.order_id}`, status, text);
}

function returnMeaning(what: string, { status, body, text }: Answer): Meaning {
  if (status === 404 && body?.code === 'unknown_deduction') return { is: 'unknown_deduction', faults: [] };
  if (status === 201 || status === 200) return { is: status === 201 ? 'done' : 'replayed', faults: [] };
  return unclear(what, status, text);
}

function unclear(what: string, status: number, text: string): Meaning {
  return { is: 'unclear', faults: [`${what}: answered ${status} ${text.slice(0, 500)}`] };
}

async function sleepUntil(atMs: number): Promise<void> {
  for (let restMs = atMs - performance.now(); restMs > 0; restMs = atMs - performance.now()) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(restMs, TIMER_MS_MAX)));
  }
}
