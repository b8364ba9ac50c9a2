import type { Answer } from '../../scripts/support/httpClient.ts';
import { NOT_SENT } from './history.ts';
import type { DeductionLine, FoundState, LineKey, LineState, RefusedLineAnswer, SendingOutcome } from './history.ts';

/** The end of a call: an answer, no answer (null), or a connection that was refused. */
export type GatewayReply = Answer | null | typeof NOT_SENT;

export interface TimedAnswer {
  readonly reply: GatewayReply;
  readonly invokedMs: number;
  readonly endedMs: number;
}

/** Sends a request and measures when it began and ended. */
export async function timed(send: () => Promise<Answer>): Promise<TimedAnswer> {
  const invokedMs = performance.now();
  const reply = await send().catch((error: unknown) =>
    (error as { code?: string }).code === 'ECONNREFUSED' ? NOT_SENT : null,
  );
  return { reply, invokedMs, endedMs: performance.now() };
}

/** How the sending ended for the client. */
export function outcomeOf({ reply, invokedMs, endedMs }: TimedAnswer): {
  invokedMs: number;
  endedMs: number;
  verdict: SendingOutcome;
  code: string | null;
} {
  const sending = (decision: SendingOutcome, code: string | null) => ({ invokedMs, endedMs, verdict: decision, code });
  if (reply === NOT_SENT) return sending('undone', NOT_SENT);
  if (reply === null) return sending('unknown', null);
  const code = (reply.body?.code as string | undefined) ?? null;
  if (reply.status === 200 || reply.status === 201) return sending('done', code);
  if (reply.status === 503 && code === 'overloaded') return sending('undone', code);
  if (reply.status === 503 && code === 'outcome_unknown') return sending('unknown', code);
  if (reply.status === 404 || reply.status === 409) return sending('refused', code);
  return sending('breach', `${reply.status} ${reply.text.slice(0, 200)}`);
}

/** The body of an answer; undefined without an answer. */
export function bodyOf({ reply }: TimedAnswer): Answer['body'] {
  return reply === null || reply === NOT_SENT ? undefined : (reply.body as unknown);
}

/**
 * Whether an answer is marked as a replay, by its status and, where `says` names it, by its body. Null where the two
 * differ, or where the body has no mark though it should.
 */
export function replayedOf(call: TimedAnswer, says: 'body' | 'status' | 'both'): boolean | null {
  const { reply } = call;
  if (reply === null || reply === NOT_SENT || (reply.status !== 200 && reply.status !== 201)) return null;
  const replayed = bodyOf(call)?.replayed as unknown;
  if (says === 'status') return reply.status === 200;
  if (typeof replayed !== 'boolean') return null;
  return says === 'body' || replayed === (reply.status === 200) ? replayed : null;
}

/** Which lines an answer marks as replays; null where it does not list exactly these. */
export function replaysOf(call: TimedAnswer, order_id: string, lines: readonly DeductionLine[]): boolean[] | null {
  const body = bodyOf(call);
  if (
    outcomeOf(call).verdict !== 'done' ||
    body?.order_id !== order_id ||
    body.status !== 'deducted' ||
    !Array.isArray(body.lines)
  )
    return null;
  const repeated = body.lines as (DeductionLine & { replayed: unknown })[];
  const isSame = repeated.length === lines.length && lines.every((line, index) => isLine(repeated[index], line));
  return isSame && repeated.every(({ replayed }) => typeof replayed === 'boolean')
    ? repeated.map(({ replayed }) => replayed === true)
    : null;
}

/** The lines that a refusal names. */
export function refusedLinesOf(call: TimedAnswer): RefusedLineAnswer[] {
  if (outcomeOf(call).verdict !== 'refused') return [];
  const lines = (bodyOf(call)?.lines ?? []) as (RefusedLineAnswer & { leaved_amount?: unknown })[];
  return lines.map(({ sku_id, order_detail_id, code, leaved_amount }) => ({
    sku_id,
    order_detail_id,
    code,
    leaved_amount: numberOf(leaved_amount),
  }));
}

/**
 * The states of the lines of a refused cancellation, empty where it was not refused; null where it lists other lines.
 */
export function statesOf(call: TimedAnswer, asked: readonly LineKey[]): LineState[] | null {
  if (outcomeOf(call).verdict !== 'refused') return [];
  const lines = bodyOf(call)?.lines as unknown;
  if (!Array.isArray(lines) || lines.length !== asked.length) return null;
  const states = (lines as (LineState & { code?: string })[]).map(
    ({ sku_id, order_detail_id, status, code = null }) => ({ sku_id, order_detail_id, status, code }),
  );
  const fits = ({ sku_id, order_detail_id, status }: LineState, place: number): boolean =>
    sku_id === asked[place]?.sku_id && order_detail_id === asked[place]?.order_detail_id && LINE_STATUSES.has(status);
  return states.every(fits) ? states : null;
}

const LINE_STATUSES: ReadonlySet<string> = new Set(['cancelled', 'deducted', 'pending', 'none', 'unavailable']);

/** The state of a line by its part of an answer; null where that cannot be parsed. */
export function foundOf(
  state: unknown,
  { sku_id, order_detail_id }: { readonly sku_id: string; readonly order_detail_id: string },
): FoundState | null {
  const line = state as (Partial<Record<string, unknown>> & { status?: unknown }) | null | undefined;
  if (line?.['sku_id'] !== sku_id || line['order_detail_id'] !== order_detail_id) return null;
  const { status, order_id } = line;
  if (status === 'none') return { status };
  if (status !== 'deducted' && status !== 'pending' && status !== 'cancelled') return null;
  const quantity = numberOf(line['quantity']);
  const returned = numberOf(line['returned']);
  return typeof order_id === 'string' && quantity !== null && returned !== null
    ? { status, order_id, quantity, returned }
    : null;
}

/** The shards of the rows that an answer lists, in the order of the rows; null where it lists none. */
export function rowShardsOf(call: TimedAnswer): number[] | null {
  const rows = bodyOf(call)?.sub_rows as unknown;
  if (!Array.isArray(rows)) return null;
  const places = (rows as { sub_row: unknown; shard: unknown }[]).map(({ sub_row, shard }, place) =>
    sub_row === place ? numberOf(shard) : null,
  );
  return places.every((shard) => shard !== null) ? places : null;
}

/** A number of units, or null for anything else. */
export function numberOf(value: unknown): number | null {
  return Number.isSafeInteger(value) ? (value as number) : null;
}

function isLine(one: DeductionLine | undefined, other: DeductionLine): boolean {
  return (
    one?.sku_id === other.sku_id && one.order_detail_id === other.order_detail_id && one.quantity === other.quantity
  );
}
