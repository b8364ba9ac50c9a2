import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer, HttpClient } from '../../scripts/support/httpClient.ts';

/** A gateway that customers may ask. */
export interface Door {
  readonly version: 'old' | 'new';
  readonly publicUrl: string;
  /** It was told to end: it may not answer any more. */
  isLeaving: boolean;
}

/** An order with what came of it. */
export interface Placed {
  readonly order_id: string;
  readonly lines: readonly { readonly order_detail_id: string; readonly sku_id: string; readonly quantity: number }[];
  isCancelled: boolean;
}

export interface MixedCustomers {
  /** The gateways they ask; one may be added or taken away at any time. */
  readonly doors: Door[];
  /** What goes on, for the counts. */
  phase: string;
  readonly placed: readonly Placed[];
  /** What was answered wrongly, or not at all by a gateway that was to go on. */
  readonly faults: readonly string[];
  /** First answers by phase and version, like `together old 201`, and each 503 with its code. */
  readonly counts: ReadonlyMap<string, number>;
  /** Units that went and did not come back, by SKU. */
  readonly gone: ReadonlyMap<string, number>;
  /** Lets every customer finish what he is about. */
  stop(): Promise<void>;
}

const AGAIN_MS = 50;
const RETURN_EVERY = 3;
const CANCEL_EVERY = 7;

/** A sentence of the contract about what an answer must be. */
interface Wanted {
  readonly status: number;
  readonly code?: string;
  readonly replayed?: boolean;
}

/**
 * Customers who sell, return and cancel through gateways of two versions, and ask the other version again for whatever one has told
 * them: it must say the same.
 */
export function startMixedCustomers(options: {
  readonly client: HttpClient;
  readonly doors: readonly Door[];
  /** More than two that are not split, on different shards, and one that is. */
  readonly skus: { readonly plain: readonly string[]; readonly hot: string };
  readonly customers: number;
  readonly phase: string;
}): MixedCustomers {
  const { client, skus } = options;
  const doors = [...options.doors];
  const placed: Placed[] = [];
  const faults: string[] = [];
  const counts = new Map<string, number>();
  const gone = new Map<string, number>();
  const count = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1);
  const move = (sku_id: string, units: number): void => void gone.set(sku_id, (gone.get(sku_id) ?? 0) + units);
  let running = true;

  const doorOf = (version: Door['version'], turn: number): Door | undefined => {
    const wanted = doors.filter((door) => door.version === version);
    const able = wanted.length > 0 ? wanted : doors;
    return able[turn % able.length];
  };

  /** Sends something until there is a verdict. @returns with it, whether an attempt before may have been the one that did it */
  const tell = async (
    version: Door['version'],
    path: string,
    body: unknown,
  ): Promise<{ answer: Answer; wasUnsure: boolean }> => {
    let wasUnsure = false;
    const turn = placed.length;
    for (let tries = 0; ; tries += 1) {
      // Who was not told goes wherever somebody answers.
      const door = tries === 0 ? doorOf(version, turn) : doors[(turn + tries) % doors.length];
      if (door === undefined) throw new Error('there is no gateway left');
      const phase = state.phase;
      const answer = await client.call({ method: 'POST', url: door.publicUrl + path, body }).catch((error: unknown) => {
        if (!door.isLeaving) faults.push(`${phase}: no answer of a gateway that was to go on: ${String(error)}`);
        return null;
      });
      if (answer !== null && answer.status !== 503) {
        if (answer.status >= 500) faults.push(`${phase}: ${answer.status} ${answer.text}`);
        if (tries === 0) count(`${phase} ${door.version} ${answer.status}`);
        return { answer, wasUnsure };
      }
      count(
        answer === null ? `${phase} ${door.version} no answer` : `${phase} ${door.version} 503 ${answer.body?.code}`,
      );
      if (answer === null || answer.body?.code === 'outcome_unknown') wasUnsure = true;
      await sleep(AGAIN_MS);
    }
  };

  const expectAnswer = (what: string, { status, text, body }: Answer, wanted: readonly Wanted[]): boolean => {
    const isSo = wanted.some(
      (one) =>
        status === one.status &&
        body?.code === one.code &&
        (one.replayed === undefined || body?.replayed === one.replayed),
    );
    if (!isSo) faults.push(`${state.phase}: ${what}: ${status} ${text} instead of ${JSON.stringify(wanted)}`);
    return isSo;
  };

  /** Does something once, and asks the other version for the same again. */
  const twice = async (
    what: string,
    version: Door['version'],
    path: string,
    body: unknown,
    first: Wanted,
    again: Wanted,
  ): Promise<boolean> => {
    const { answer, wasUnsure } = await tell(version, path, body);
    if (!expectAnswer(what, answer, wasUnsure ? [first, again] : [first])) return false;
    return expectAnswer(`${what}, again`, (await tell(otherOf(version), path, body)).answer, [again]);
  };

  const linesOf = (order_id: string, number: number): Placed['lines'] => {
    const line = (sku_id: string, place: number) => ({
      order_detail_id: `${order_id}-${place}`,
      sku_id,
      quantity: 1 + (number % 3),
    });
    const plain = (more: number): string => skus.plain[(number + more) % skus.plain.length] ?? '';
    const { hot } = skus;
    switch (number % 4) {
      case 0:
        return [line(plain(0), 1)];
      case 1:
        return [line(plain(0), 1), line(plain(1), 2), line(plain(2), 3)];
      case 2:
        return [line(hot, 1)];
      default:
        return [line(hot, 1), line(plain(0), 2)];
    }
  };

  const buy = async (customer: number, number: number): Promise<void> => {
    const version = (customer + number) % 2 === 0 ? 'old' : 'new';
    const order_id = `mixed-${customer}-${number}`;
    const order: Placed = { order_id, lines: linesOf(order_id, customer + number), isCancelled: false };
    const body = { order_id, lines: order.lines };
    const isSold = await twice(
      `the sale of ${order_id}`,
      version,
      '/v1/deductions',
      body,
      { status: 201, replayed: false },
      { status: 200, replayed: true },
    );
    if (!isSold) return;
    placed.push(order);
    for (const { sku_id, quantity } of order.lines) move(sku_id, quantity);
    const [{ order_detail_id, sku_id } = { order_detail_id: '', sku_id: '' }] = order.lines;
    const comesBack = number % RETURN_EVERY === 0;
    if (
      comesBack &&
      (await twice(
        `a return of ${order_id}`,
        otherOf(version),
        '/v1/returns',
        { return_id: 'back', order_detail_id, sku_id, quantity: 1 },
        { status: 201 },
        { status: 200 },
      ))
    )
      move(sku_id, -1);
    if (number % CANCEL_EVERY !== 0) return;
    const keys = {
      order_id,
      lines: order.lines.map((line) => ({ order_detail_id: line.order_detail_id, sku_id: line.sku_id })),
    };
    if (
      !(await twice(
        `the end of ${order_id}`,
        otherOf(version),
        '/v1/cancellations',
        keys,
        { status: 200 },
        { status: 200 },
      ))
    )
      return;
    order.isCancelled = true;
    for (const line of order.lines) move(line.sku_id, -line.quantity);
    if (comesBack) move(sku_id, 1);
    const blocked = { status: 409, code: 'cancelled' };
    await twice(`a sale after the end of ${order_id}`, version, '/v1/deductions', body, blocked, blocked);
  };

  const state: MixedCustomers = {
    doors,
    phase: options.phase,
    placed,
    faults,
    counts,
    gone,
    async stop() {
      running = false;
      await all;
    },
  };
  const all = Promise.all(
    Array.from({ length: options.customers }, async (_, customer) => {
      for (let number = 1; running; number += 1) await buy(customer, number);
    }),
  );
  // Told to whoever stops them; until then it is not an error that nobody looks at.
  all.catch(() => undefined);
  return state;
}

function otherOf(version: Door['version']): Door['version'] {
  return version === 'old' ? 'new' : 'old';
}
