import { expect } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer } from '../../../scripts/support/httpClient.ts';
import { eventually } from '../run/eventually.ts';
import type { ListenerUrls, SweepBench } from './sweepBench.ts';
import { deductCall, readCall } from './sweptCalls.ts';
import type { Balance, Call, CaseIds } from './sweptCalls.ts';
import type { SweptOperation } from './sweptOperation.ts';

/** One operation that was interrupted by a fault. */
export interface Interrupted {
  readonly operation: SweptOperation;
  readonly ids: CaseIds;
  /** The answer of the interrupted operation; null when no complete answer arrived. */
  readonly answer: Promise<Answer | null>;
  /** True when the operation stays stalled while the other gateways are checked. */
  readonly isHeld: boolean;
  /** Called after the other gateways were checked: releases the stalled operation. Absent: it continues by itself. */
  release?(): void;
  /** The gateway that the operation was sent to, if it still runs. */
  readonly survivor: ListenerUrls | null;
}

/** Within this time every outcome must be definite, and every row unlocked. */
const DEFINITE_MS = 5_000;
/** Other gateways may abort a cart without a coordinator only after five seconds, and two of them do so in turn. */
const CART_MS = 20_000;
/** A refused cart holds no units for longer than this after its answer. */
const HELD_MS = 5_000;
const PAUSE_MS = 50;
const NO_ANSWER = 'no answer';

/**
 * Sends the same ids to healthy gateways and compares their answers with the answer of the interrupted gateway. An
 * operation that was answered as done stays done. One that was answered "nothing was changed" has no effect. In every
 * case the operation is applied as a whole and at most once.
 */
export async function expectResolved(
  bench: SweepBench,
  { operation, ids, answer, isHeld, release, survivor }: Interrupted,
): Promise<void> {
  const struckMs = performance.now();
  const [first, second] = bench.healthy;
  const call = operation.call(ids);
  const outcomeAt = (to: ListenerUrls, sent: Call): Promise<string | number> => sendUntilDefinite(bench, to, sent);
  if (!isHeld) await answer;

  const lines = await linesFound(bench, call);
  const retried = await outcomeAt(first, call);
  const retriedAgain = await outcomeAt(second, call);
  // One more unit of each SKU, under ids of its own: the interrupted operation must not keep a row locked.
  const touched = ids.sku_ids.slice(0, operation.done.length);
  const next = deductCall(
    `${ids.name}-next`,
    touched.map((sku_id) => [sku_id, 1] as const),
    ids.next_order_id,
  );
  expect(await outcomeAt(second, next), 'the next order').to.equal(201);
  const boundMs = operation.isCart === true ? CART_MS : DEFINITE_MS;
  expect(
    performance.now() - struckMs,
    'milliseconds until the outcome is definite and the rows are unlocked',
  ).to.be.below(boundMs);

  release?.();
  const answered = wordOf(await answer);
  const summary = `answered ${answered}, then ${retried}, then ${retriedAgain}; lines ${lines}`;
  if (survivor !== null)
    expect(await outcomeAt(survivor, call), `${summary}; the same gateway, later`).to.equal(operation.answers.again);
  expectConsistent(operation, { answered, retried, retriedAgain, lines, isHeld }, summary);

  for (const [index, balance] of operation.done.entries()) {
    const sku_id = ids.sku_ids[index];
    if (sku_id === undefined || balance === null) throw new Error('a SKU of the case was not opened');
    const after = withOneMoreTaken(balance);
    const wanted = after.opening + after.adjusted - after.deducted + (after.returned ?? 0);
    const left = async (): Promise<unknown> => (await bench.send(first, readCall(sku_id)))?.body?.leaved_amount;
    // The units that a refused cart held go back after its answer.
    if (operation.isCart === true)
      await eventually(
        `${summary}; ${wanted} units left of SKU ${index}`,
        HELD_MS,
        async () => (await left()) === wanted,
      );
    expect(await left(), `${summary}; units left of SKU ${index}`).to.equal(wanted);
    bench.expectBalance(sku_id, after);
  }
}

function expectConsistent(
  { answers, without, done }: SweptOperation,
  {
    answered,
    retried,
    retriedAgain,
    lines,
    isHeld,
  }: {
    answered: string | number;
    retried: string | number;
    retriedAgain: string | number;
    lines: Lines;
    isHeld: boolean;
  },
  summary: string,
): void {
  const changes = JSON.stringify(without) !== JSON.stringify(done);
  expect(lines, `${summary}; a half-applied order`).to.be.oneOf(['all', 'none', 'not read']);
  expect(retried, summary).to.be.oneOf([answers.first, answers.again]);
  expect(retriedAgain, summary).to.equal(answers.again);
  if (!changes) {
    expect(answered, summary).to.be.oneOf([NO_ANSWER, 'outcome_unknown', 'overloaded', 'internal', answers.first]);
    return;
  }
  const happened = retried === answers.again;
  // While the operation is stalled, it may still take effect between two reads.
  if (!isHeld && lines !== 'not read') expect(lines, summary).to.equal(happened ? 'all' : 'none');
  if (answered === NO_ANSWER || answered === 'outcome_unknown') return;
  if (answered === 'overloaded' || answered === 'internal')
    expect(happened, `${summary}; "nothing was changed"`).to.equal(false);
  else if (answered === answers.again)
    expect(isHeld && !happened, `${summary}; the retry was applied first`).to.equal(true);
  else {
    expect(answered, summary).to.equal(answers.first);
    // An operation stalled at its COMMIT may find the order applied by the retry, and cannot tell the two apart.
    if (!isHeld) expect(happened, `${summary}; the accepted operation keeps its effect`).to.equal(true);
  }
}

/** Sends a call until its answer is definite. @returns its status, or the problem code of its refusal */
export async function sendUntilDefinite(bench: SweepBench, to: ListenerUrls, call: Call): Promise<string | number> {
  const untilMs = performance.now() + CART_MS;
  for (;;) {
    const word = wordOf(await bench.send(to, call));
    if (![NO_ANSWER, 'overloaded', 'outcome_unknown'].includes(String(word)) || performance.now() > untilMs)
      return word;
    await sleep(PAUSE_MS);
  }
}

/** How many lines of an order are deducted. For other operations only the retry shows the outcome. */
type Lines = 'all' | 'some' | 'none' | 'no answer' | 'not read';

async function linesFound(bench: SweepBench, { path, body }: Call): Promise<Lines> {
  if (path !== '/v1/deductions') return 'not read';
  const { lines } = body as { lines: readonly { sku_id: string; order_detail_id: string }[] };
  const keys = lines.map(({ sku_id, order_detail_id }) => ({ sku_id, order_detail_id }));
  const lookup: Call = { listener: 'publicUrl', method: 'POST', path: '/v1/deductions/lookup', body: { lines: keys } };
  const untilMs = performance.now() + CART_MS;
  for (;;) {
    const answer = await bench.send(bench.healthy[0], lookup);
    const states =
      answer?.status === 200 ? (answer.body.lines as { status: string }[]).map(({ status }) => status) : ['pending'];
    if (!states.includes('pending') && !states.includes('unavailable')) {
      return states.every((state) => state === 'deducted')
        ? 'all'
        : states.every((state) => state === 'none')
          ? 'none'
          : 'some';
    }
    if (performance.now() > untilMs) return NO_ANSWER;
    await sleep(PAUSE_MS);
  }
}

function wordOf(answer: Answer | null): string | number {
  if (answer === null) return NO_ANSWER;
  if (answer.status >= 400) return String(answer.body?.code);
  // A cancellation has one status for the first answer and for a replay.
  return answer.body?.replayed === false ? 201 : answer.status;
}

function withOneMoreTaken(balance: Balance): Balance {
  return { ...balance, deducted: balance.deducted + 1, flow_count: balance.flow_count + 1 };
}
