import { flowKeyText } from '../../core/types.ts';
import type { CartKey, CommitDecision, DeadlineMs, OrderTransaction } from '../../core/types.ts';
import type { HoldLines, ShardOperation } from '../../core/operation.ts';
import { refusedLines } from '../../core/outcome.ts';
import type {
  Deducted,
  DeductedLine,
  DeductOutcome,
  HoldOutcome,
  Misrouted,
  NotDone,
  OutcomeInDoubt,
  Refused,
} from '../../core/outcome.ts';
import type { StockEngine } from '../../core/ports/stockEngine.ts';
import { atMostUntil } from '../../core/async/atMostUntil.ts';
import { pause } from '../../core/async/pause.ts';
import { groupsOf } from '../orders/applyByGroup.ts';
import { applyJointlyWithTransfers } from '../hot/applyWithTransfers.ts';
import { byShard, isMisrouted, LineRouter } from '../routing/lineRouter.ts';
import type { ServicePorts } from '../servicePorts.ts';
import { cartShares } from './cartShares.ts';
import { completeBlockingHolds } from './completeHolds.ts';
import { completeUntilDone } from './completeUntilDone.ts';
import {
  BLOCKED_UNTIL_DEADLINE,
  coordinatorOf,
  decisionDeadline,
  deductParts,
  inOrderOf,
  lineOf,
} from './orderParts.ts';
import type { Order, OrderLine } from './orderParts.ts';

/** The longest pause before the next attempt, while the order holds nothing. The pause is uniformly random. */
const PAUSE_MS_MAX = 100;
/** An attempt begins only with more time than this before the deadline. */
const ATTEMPT_MS = 600;

const OLDER_GATEWAYS = { is: 'not_done', reason: 'older gateways may work on a shard of the order' } as const;

type Ended = Deducted | Refused | NotDone | OutcomeInDoubt;

/** An attempt ended without a decision; the next one holds one server after the other. */
interface Retry {
  readonly is: 'retry';
  readonly redirects: readonly Misrouted[];
}

/**
 * Sells an order over several servers, all or nothing: a two-phase commit with presumed abort. The lines on all servers
 * but one are held. The last server is the coordinator: it takes its own lines and writes the record of the
 * transaction, in one local transaction, which is the decision. The holds are completed after the answer.
 *
 * A transaction without a record is aborted. A gateway that finds an old hold first writes the record as aborted, and
 * then undoes the hold. Of the two inserts of a record one fails.
 */
export async function sellInTransaction(ports: ServicePorts, order: Order, deadlineMs: DeadlineMs): Promise<Ended> {
  const release = await ports.cartQueue.enter(cartShares(order), deadlineMs - 2 * ATTEMPT_MS);
  if (release === null) return { is: 'not_done', reason: 'too many orders over several servers were under way' };
  try {
    return inOrderOf<NotDone | OutcomeInDoubt>(order.lines, await attemptUntil(ports, order, deadlineMs));
  } finally {
    release();
  }
}

async function attemptUntil(ports: ServicePorts, order: Order, deadlineMs: DeadlineMs): Promise<Ended> {
  const router = new LineRouter(ports, order.lines);
  for (let isSequential = false; performance.now() + ATTEMPT_MS < deadlineMs; isSequential = true) {
    if (isSequential) await pause(Math.random() * PAUSE_MS_MAX);
    const routed = await router.route(deadlineMs);
    if ('is' in routed) return routed;
    // A layout may have come to a shard on which older gateways still work: they would undo the hold of a sold order.
    if (!ports.records.areUsable(routed.map(({ shard }) => shard))) return OLDER_GATEWAYS;
    const ended = await new Attempt(ports, order, routed, isSequential, decisionDeadline(deadlineMs)).run();
    if (ended.is !== 'retry') return ended;
    for (const redirect of ended.redirects) {
      const failure = await router.applyRedirect(redirect, deadlineMs);
      if (failure !== null) return failure;
    }
  }
  return BLOCKED_UNTIL_DEADLINE;
}

/** The lines of the order on one server, and how the server answered their hold. */
interface HeldGroup {
  readonly lines: readonly OrderLine[];
  readonly outcome: HoldOutcome;
  /** An unexpected error; the outcome is then unknown. */
  readonly fault: Error | null;
}

/** One attempt, with a transaction of its own. */
class Attempt {
  readonly #ports: ServicePorts;
  readonly #order: { readonly order_id: string; readonly lines: readonly OrderLine[] };
  readonly #isSequential: boolean;
  readonly #untilMs: DeadlineMs;
  /** The lines on each server, the coordinator last. */
  readonly #participants: readonly (readonly OrderLine[])[];
  readonly #own: readonly OrderLine[];
  readonly #transaction: OrderTransaction;
  readonly #cart: CartKey;

  constructor(
    ports: ServicePorts,
    { order_id }: Order,
    lines: readonly OrderLine[],
    isSequential: boolean,
    untilMs: DeadlineMs,
  ) {
    this.#ports = ports;
    this.#order = { order_id, lines };
    this.#isSequential = isSequential;
    this.#untilMs = untilMs;
    // In turn, all orders hold servers in the same order, which does not depend on their lines, and the coordinator is
    // the last of them. Otherwise two orders that coordinate at each other's participants would wait for each other.
    const servers = inOrderOfServers(ports.engine, lines);
    const own = isSequential ? servers.at(-1) : serverWithMostLines(servers);
    this.#own = own ?? lines;
    this.#participants = servers.filter((server) => server !== own);
    this.#transaction = ports.records.begin(coordinatorOf(this.#own));
    this.#cart = { order_id, attempt: 0, transaction: this.#transaction };
  }

  async run(): Promise<Ended | Retry> {
    const held = await this.#holdAll();
    const fault = held.find((group) => group.fault !== null)?.fault ?? null;
    if (fault !== null) {
      // An unexpected fault: the holds are undone, and the caller receives an unknown outcome.
      void this.#undo(held);
      throw fault;
    }
    if (held.length < this.#participants.length || held.some(({ outcome }) => outcome.is !== 'held'))
      return this.#endWithoutDecision(held);
    const fresh = held.some((group) => freshLinesOf(group).length > 0);
    const decided = await this.#decide(fresh);
    if (decided.is === 'deducted') {
      void this.#complete(held, 'committed');
      return { is: 'deducted', lines: [...held.flatMap(({ outcome }) => linesOf(outcome)), ...decided.lines] };
    }
    // The decision may have been made, so the record shows later how the holds end.
    if (decided.is === 'unknown') return decided;
    const undone = this.#undo(held);
    if (decided.is === 'refused' || (decided.is === 'not_done' && decided.isAborted !== true)) return decided;
    await atMostUntil(this.#untilMs, undone);
    return { is: 'retry', redirects: isMisrouted(decided) ? [decided] : [] };
  }

  /**
   * Holds on all servers at once, or on one after the other. In that order, an attempt that waits for a server holds
   * nothing on a later one.
   */
  async #holdAll(): Promise<HeldGroup[]> {
    if (!this.#isSequential) return Promise.all(this.#participants.map((lines) => this.#hold(lines)));
    const held: HeldGroup[] = [];
    for (const lines of this.#participants) {
      const last = await this.#hold(lines);
      held.push(last);
      // The answer names the refused lines of all servers, so the remaining ones are asked too.
      if (last.outcome.is !== 'held' && last.outcome.is !== 'refused') break;
    }
    return held;
  }

  async #hold(lines: readonly OrderLine[]): Promise<HeldGroup> {
    try {
      const outcome = await this.#whileBlocked<HoldOutcome>(lines, () => this.#applyHold(lines, false));
      return { lines, outcome, fault: null };
    } catch (error) {
      const fault = error instanceof Error ? error : new Error(String(error));
      return { lines, outcome: { is: 'unknown', reason: fault.message }, fault };
    }
  }

  #applyHold(lines: readonly OrderLine[], isTrial: boolean): Promise<HoldOutcome> {
    const parts = [...byShard(lines)].map(([shard, ofShard]): ShardOperation<HoldLines> => ({
      shard,
      operation: { kind: 'hold', ...this.#cart, lines: ofShard.map(lineOf), ...(isTrial ? { isTrial } : {}) },
    }));
    return applyJointlyWithTransfers(this.#ports, parts, this.#untilMs);
  }

  /** @param isDecision whether other servers hold lines, so that the record is needed in any case */
  #decide(isDecision: boolean): Promise<DeductOutcome> {
    const parts = deductParts(this.#order, this.#own, this.#transaction, isDecision);
    return this.#whileBlocked<DeductOutcome>(this.#own, () =>
      applyJointlyWithTransfers(this.#ports, parts, this.#untilMs),
    );
  }

  /** Waits for holds of other orders only in turn: otherwise two orders could wait for each other. */
  #whileBlocked<T extends { readonly is: string }>(lines: readonly OrderLine[], work: () => Promise<T>): Promise<T> {
    const waitUntilMs = this.#isSequential ? this.#untilMs - ATTEMPT_MS : 0;
    return completeBlockingHolds(this.#ports, this.#untilMs, waitUntilMs, coordinatorOf(lines), work) as Promise<T>;
  }

  async #endWithoutDecision(held: readonly HeldGroup[]): Promise<Ended | Retry> {
    const outcomes = held.map(({ outcome }) => outcome);
    const undone = this.#undo(held);
    const redirects = outcomes.filter(isMisrouted);
    if (redirects.length === 0) {
      const refusals = outcomes.filter((outcome): outcome is Refused => outcome.is === 'refused');
      if (refusals.length > 0) return this.#refuse(refusals);
      const failed = outcomes.find(
        (outcome): outcome is NotDone | OutcomeInDoubt => outcome.is === 'not_done' || outcome.is === 'unknown',
      );
      // A hold with an unknown outcome is undone too, because its transaction is not decided.
      if (failed !== undefined) return { is: 'not_done', reason: failed.reason };
    }
    await atMostUntil(this.#untilMs, undone);
    return { is: 'retry', redirects };
  }

  /** The refusal names the refused lines of all servers, so the lines of the coordinator are judged too. */
  async #refuse(refusals: readonly Refused[]): Promise<Refused | NotDone> {
    const own = await this.#applyHold(this.#own, true);
    const all = own.is === 'refused' ? [...refusals, own] : refusals;
    const lines = all.flatMap((refusal) => refusal.lines);
    const [first] = refusals;
    return lines.length > 0 || first === undefined ? refusedLines(lines) : first;
  }

  /** Undoes the holds that exist or may exist, in the background. A server with another outcome holds nothing. */
  #undo(held: readonly HeldGroup[]): Promise<void> {
    return this.#complete(held, 'aborted');
  }

  #complete(held: readonly HeldGroup[], decision: CommitDecision): Promise<void> {
    const known = held.flatMap(freshLinesOf);
    const unknown = held.flatMap(({ lines, outcome }) => (outcome.is === 'unknown' ? lines : []));
    const work = Promise.all([
      completeUntilDone(this.#ports, this.#cart, known, decision, true),
      completeUntilDone(this.#ports, this.#cart, unknown, decision),
    ]).then(() => undefined);
    this.#ports.backgroundTasks.add(() => work);
    return work;
  }
}

/** The lines on each server, in an order of servers that is the same for all orders and gateways. */
function inOrderOfServers(engine: StockEngine, lines: readonly OrderLine[]): OrderLine[][] {
  const named = groupsOf(engine, lines, ({ shard }) => shard).map((ofServer) => ({
    ofServer,
    name: engine.groupOf(coordinatorOf(ofServer)) ?? '',
  }));
  return named.sort((a, b) => (a.name < b.name ? -1 : 1)).map(({ ofServer }) => ofServer);
}

/** @param servers in their order, which decides between equals */
function serverWithMostLines(servers: readonly (readonly OrderLine[])[]): readonly OrderLine[] | undefined {
  let most: readonly OrderLine[] | undefined;
  for (const lines of servers) if (most === undefined || lines.length > most.length) most = lines;
  return most;
}

/** The lines that the hold has taken: the others are replays. */
function freshLinesOf({ lines, outcome }: HeldGroup): OrderLine[] {
  const fresh = new Set(linesOf(outcome).flatMap((line) => (line.replayed ? [] : [flowKeyText(line)])));
  return lines.filter((line) => fresh.has(flowKeyText(line)));
}

function linesOf(outcome: HoldOutcome): readonly DeductedLine[] {
  return outcome.is === 'held' ? outcome.lines : [];
}
