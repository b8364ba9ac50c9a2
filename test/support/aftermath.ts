import { expect } from 'chai';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer } from '../../scripts/support/httpClient.ts';
import { eventually } from './eventually.ts';
import type { Listeners, SweepBench } from './sweepBench.ts';
import { deductCall, readCall } from './sweptOperations.ts';
import type { Balance, Call, CaseIds, SweptOperation } from './sweptOperations.ts';

/** One operation that was interrupted. */
export interface Interrupted {
  readonly operation: SweptOperation;
  readonly ids: CaseIds;
  /** What came of it in the end, null when no whole answer did. */
  readonly answer: Promise<Answer | null>;
  /** True when it is held up still while others are asked. */
  readonly isHeld: boolean;
  /** Called when all others were asked: lets go of what is held up until then. Absent: it goes on by itself. */
  letGo?(): void;
  /** The gateway it was sent to, if it lives. */
  readonly survivor: Listeners | null;
}

/** Until then everything must be definite, and every row free. */
const DEFINITE_MS = 5_000;
/** A cart whose coordinator is gone may be given up by others only after five seconds, and by each of two in turn. */
const CART_MS = 20_000;
/** Nothing is held for longer after a refusal. */
const HELD_MS = 5_000;
const PAUSE_MS = 50;
const NO_ANSWER = 'no answer';

/**
 * Asks healthy gateways with the same ids what became of an operation, and holds what everybody says against what the
 * interrupted gateway said: what was done stands, what was answered "nothing was done" had no effect, and whatever
 * happened, it is whole and happened once.
 */
export async function settleInterrupted(
  bench: SweepBench,
  { operation, ids, answer, isHeld, letGo, survivor }: Interrupted,
): Promise<void> {
  const struckMs = performance.now();
  const [first, second] = bench.healthy;
  const call = operation.call(ids);
  const tell = (to: Listeners, asked: Call): Promise<string | number> => tellDefinitely(bench, to, asked);
  if (!isHeld) await answer;

  const lines = await linesFound(bench, call);
  const retried = await tell(first, call);
  const retriedAgain = await tell(second, call);
  // One more of each SKU, with ids of its own: no row is locked by what is left of the interrupted one.
  const touched = ids.sku_ids.slice(0, operation.done.length);
  const next = deductCall(
    `${ids.name}-next`,
    touched.map((sku_id) => [sku_id, 1] as const),
    ids.next_order_id,
  );
  expect(await tell(second, next), 'the next order').to.equal(201);
  const boundMs = operation.isCart === true ? CART_MS : DEFINITE_MS;
  expect(performance.now() - struckMs, 'definite, and the rows free, after milliseconds').to.be.below(boundMs);

  letGo?.();
  const told = wordOf(await answer);
  const said = `told ${told}, then ${retried}, then ${retriedAgain}; lines ${lines}`;
  if (survivor !== null)
    expect(await tell(survivor, call), `${said}; the same gateway, later`).to.equal(operation.answers.again);
  expectConsistent(operation, { told, retried, retriedAgain, lines, isHeld }, said);

  for (const [index, balance] of operation.done.entries()) {
    const sku_id = ids.sku_ids[index];
    if (sku_id === undefined || balance === null) throw new Error('every SKU of a case is open in the end');
    const after = withOneMoreTaken(balance);
    const wanted = after.opening + after.adjusted - after.deducted + (after.returned ?? 0);
    const left = async (): Promise<unknown> => (await bench.send(first, readCall(sku_id)))?.body?.leaved_amount;
    // What a refused cart held goes back after its answer.
    if (operation.isCart === true)
      await eventually(`${said}; ${wanted} units left of SKU ${index}`, HELD_MS, async () => (await left()) === wanted);
    expect(await left(), `${said}; units left of SKU ${index}`).to.equal(wanted);
    bench.expectBalance(sku_id, after);
  }
}

function expectConsistent(
  { answers, without, done }: SweptOperation,
  {
    told,
    retried,
    retriedAgain,
    lines,
    isHeld,
  }: { told: string | number; retried: string | number; retriedAgain: string | number; lines: Lines; isHeld: boolean },
  said: string,
): void {
  const changes = JSON.stringify(without) !== JSON.stringify(done);
  expect(lines, `${said}; a half done order`).to.be.oneOf(['all', 'none', 'not asked']);
  expect(retried, said).to.be.oneOf([answers.first, answers.again]);
  expect(retriedAgain, said).to.equal(answers.again);
  if (!changes) {
    expect(told, said).to.be.oneOf([NO_ANSWER, 'outcome_unknown', 'overloaded', 'internal', answers.first]);
    return;
  }
  const happened = retried === answers.again;
  // While it is held up, it may still happen between two questions.
  if (!isHeld && lines !== 'not asked') expect(lines, said).to.equal(happened ? 'all' : 'none');
  if (told === NO_ANSWER || told === 'outcome_unknown') return;
  if (told === 'overloaded' || told === 'internal') expect(happened, `${said}; "nothing was changed"`).to.equal(false);
  else if (told === answers.again) expect(isHeld && !happened, `${said}; somebody else did it first`).to.equal(true);
  else {
    expect(told, said).to.equal(answers.first);
    // One that is held up at its COMMIT may find the order done by the retry, and cannot tell it from its own.
    if (!isHeld) expect(happened, `${said}; what was done stands`).to.equal(true);
  }
}

/** Sends a call until its answer is a verdict. @returns its status, or the code of what stands in the way */
export async function tellDefinitely(bench: SweepBench, to: Listeners, call: Call): Promise<string | number> {
  const untilMs = performance.now() + CART_MS;
  for (;;) {
    const word = wordOf(await bench.send(to, call));
    if (![NO_ANSWER, 'overloaded', 'outcome_unknown'].includes(String(word)) || performance.now() > untilMs)
      return word;
    await sleep(PAUSE_MS);
  }
}

/** How many lines of an order stand; of other operations the retry alone tells. */
type Lines = 'all' | 'some' | 'none' | 'no answer' | 'not asked';

async function linesFound(bench: SweepBench, { path, body }: Call): Promise<Lines> {
  if (path !== '/v1/deductions') return 'not asked';
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
  // A cancellation has one status for both.
  return answer.body?.replayed === false ? 201 : answer.status;
}

function withOneMoreTaken(balance: Balance): Balance {
  return { ...balance, deducted: balance.deducted + 1, flow_count: balance.flow_count + 1 };
}
