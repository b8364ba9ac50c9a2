import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer, HttpClient } from '../../../scripts/support/httpClient.ts';

/** A gateway that customers may call. */
export interface CalledGateway {
  readonly version: 'old' | 'new';
  readonly publicUrl: string;
  /** True after it was asked to end: it may stop answering. */
  isLeaving: boolean;
}

/** An accepted order. */
export interface AcceptedOrder {
  readonly order_id: string;
  readonly lines: readonly { readonly order_detail_id: string; readonly sku_id: string; readonly quantity: number }[];
  isCancelled: boolean;
}

export interface MixedCustomers {
  /** The gateways that customers call; one may be added or removed at any time. */
  readonly gateways: CalledGateway[];
  /** The name of the current phase, for the counts. */
  phase: string;
  readonly placed: readonly AcceptedOrder[];
  /** Wrong answers, and missing answers of gateways that should keep running. */
  readonly faults: readonly string[];
  /** First answers by phase and version, like `together old 201`, and each 503 with its code. */
  readonly counts: ReadonlyMap<string, number>;
  /** Units that were sold and did not come back, by SKU. */
  readonly gone: ReadonlyMap<string, number>;
  /** Counts units that the test itself sold. */
  move(sku_id: string, units: number): void;
  /** Lets every customer finish its current order. */
  stop(): Promise<void>;
}

const AGAIN_MS = 50;
const RETURN_EVERY = 3;
const CANCEL_EVERY = 7;

/** An answer that the contract allows. */
interface AllowedAnswer {
  readonly status: number;
  readonly code?: string;
  readonly replayed?: boolean;
}

/**
 * Starts customers that sell, return and cancel through gateways of two versions. They repeat each answered request at
 * the other version, which must give the same answer.
 */
export function startMixedCustomers(options: {
  readonly client: HttpClient;
  readonly gateways: readonly CalledGateway[];
  /** At least three SKUs that are not split, on different shards, and one split SKU. */
  readonly skus: { readonly plain: readonly string[]; readonly hot: string };
  readonly customers: number;
  readonly phase: string;
}): MixedCustomers {
  const { client, skus } = options;
  const doors = [...options.gateways];
  const placed: AcceptedOrder[] = [];
  const faults: string[] = [];
  const counts = new Map<string, number>();
  const gone = new Map<string, number>();
  const count = (label: string): void => void counts.set(label, (counts.get(label) ?? 0) + 1);
  const move = (sku_id: string, units: number): void => void gone.set(sku_id, (gone.get(sku_id) ?? 0) + units);
  let running = true;

  const doorOf = (version: CalledGateway['version'], turn: number): CalledGateway | undefined => {
    const wanted = doors.filter((frozenPort) => frozenPort.version === version);
    const able = wanted.length > 0 ? wanted : doors;
    return able[turn % able.length];
  };

  /**
   * Sends a request until its answer is definite.
   *
   * @returns the answer, and whether an earlier attempt may have had the effect
   */
  const sendUntilDefinite = async (
    version: CalledGateway['version'],
    path: string,
    body: unknown,
  ): Promise<{ answer: Answer; wasUnsure: boolean }> => {
    let wasUnsure = false;
    const turn = placed.length;
    for (let tries = 0; ; tries += 1) {
      // A retry goes to any gateway that answers.
      const frozenPort = tries === 0 ? doorOf(version, turn) : doors[(turn + tries) % doors.length];
      if (frozenPort === undefined) throw new Error('no gateway is left');
      const phase = state.phase;
      const answer = await client
        .call({ method: 'POST', url: frozenPort.publicUrl + path, body })
        .catch((error: unknown) => {
          if (!frozenPort.isLeaving)
            faults.push(`${phase}: no answer from a gateway that should keep running: ${String(error)}`);
          return null;
        });
      if (answer !== null && answer.status !== 503) {
        if (answer.status >= 500) faults.push(`${phase}: ${answer.status} ${answer.text}`);
        if (tries === 0) count(`${phase} ${frozenPort.version} ${answer.status}`);
        return { answer, wasUnsure };
      }
      count(
        answer === null
          ? `${phase} ${frozenPort.version} no answer`
          : `${phase} ${frozenPort.version} 503 ${answer.body?.code}`,
      );
      if (answer === null || answer.body?.code === 'outcome_unknown') wasUnsure = true;
      await sleep(AGAIN_MS);
    }
  };

  const expectAnswer = (label: string, { status, text, body }: Answer, wanted: readonly AllowedAnswer[]): boolean => {
    const isAllowed = wanted.some(
      (one) =>
        status === one.status &&
        body?.code === one.code &&
        (one.replayed === undefined || body?.replayed === one.replayed),
    );
    if (!isAllowed) faults.push(`${state.phase}: ${label}: ${status} ${text} instead of ${JSON.stringify(wanted)}`);
    return isAllowed;
  };

  /** Sends a request, and repeats it at the other version. */
  const twice = async (
    label: string,
    version: CalledGateway['version'],
    path: string,
    body: unknown,
    first: AllowedAnswer,
    again: AllowedAnswer,
  ): Promise<boolean> => {
    const { answer, wasUnsure } = await sendUntilDefinite(version, path, body);
    if (!expectAnswer(label, answer, wasUnsure ? [first, again] : [first])) return false;
    return expectAnswer(`${label}, again`, (await sendUntilDefinite(otherOf(version), path, body)).answer, [again]);
  };

  const linesOf = (order_id: string, number: number): AcceptedOrder['lines'] => {
    const line = (sku_id: string, place: number) => ({
      order_detail_id: `${order_id}-${place}`,
      sku_id,
      quantity: 1 + (number % 3),
    });
    const plain = (more: number): string => skus.plain[(number + more) % skus.plain.length] ?? '';
    const { hot } = skus;
    switch (number % 5) {
      case 0:
        return [line(plain(0), 1)];
      case 1:
        return [line(plain(0), 1), line(plain(1), 2), line(plain(2), 3)];
      case 2:
        return [line(hot, 1)];
      case 3:
        // With the shards on two servers in turn, these two are on one server.
        return [line(plain(0), 1), line(plain(2), 2)];
      default:
        return [line(hot, 1), line(plain(0), 2)];
    }
  };

  const buy = async (customer: number, number: number): Promise<void> => {
    const version = (customer + number) % 2 === 0 ? 'old' : 'new';
    const order_id = `mixed-${customer}-${number}`;
    const order: AcceptedOrder = { order_id, lines: linesOf(order_id, customer + number), isCancelled: false };
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
        `the cancellation of ${order_id}`,
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
    await twice(`a sale after the cancellation of ${order_id}`, version, '/v1/deductions', body, blocked, blocked);
  };

  const state: MixedCustomers = {
    gateways: doors,
    phase: options.phase,
    placed,
    faults,
    counts,
    gone,
    move,
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
  // `stop` reports the error. Until then it must not be an unhandled rejection.
  all.catch(() => undefined);
  return state;
}

function otherOf(version: CalledGateway['version']): CalledGateway['version'] {
  return version === 'old' ? 'new' : 'old';
}
