import { stringify } from 'lossless-json';
import type { Fault } from '../schema/compile.ts';

/** How a problem is told over HTTP. */
interface ProblemKind {
  readonly status: number;
  readonly title: string;
  /** Sent as `Retry-After` where the same request may do better later. */
  readonly retryAfterSeconds?: number;
}

/** Every way a request can fail: our stable codes and the status that goes with each. No other file knows a failure's status. */
export const PROBLEMS = {
  invalid_request: { status: 400, title: 'The request is not valid' },
  unauthorized: { status: 401, title: 'A valid bearer token is needed' },
  not_found: { status: 404, title: 'There is nothing at this address' },
  unknown_sku: { status: 404, title: 'The SKU is not known' },
  unknown_deduction: { status: 404, title: 'The deduction is not known' },
  method_not_allowed: { status: 405, title: 'This address does not take this method' },
  request_timeout: { status: 408, title: 'The request did not arrive in time' },
  insufficient_stock: { status: 409, title: 'Not enough is left' },
  idempotency_conflict: { status: 409, title: 'These ids stand with another content' },
  cancelled: { status: 409, title: 'These ids are cancelled' },
  not_on_sale: { status: 409, title: 'The SKU is not on sale' },
  over_return: { status: 409, title: 'More than can be returned' },
  pending: { status: 409, title: 'The cart of these ids is not decided yet; try again' },
  sku_exists: { status: 409, title: 'The SKU stands already, with another opening stock' },
  stock_limit: { status: 409, title: 'The stock would be above the limit' },
  payload_too_large: { status: 413, title: 'The body is too large' },
  unsupported_media_type: { status: 415, title: 'The body must be JSON' },
  headers_too_large: { status: 431, title: 'The headers are too large' },
  rate_limited: { status: 429, title: 'This caller asks too often; nothing was done', retryAfterSeconds: 1 },
  internal: { status: 500, title: 'A fault of the gateway; nothing was changed' },
  overloaded: { status: 503, title: 'Nothing was done; try again', retryAfterSeconds: 1 },
  outcome_unknown: {
    status: 503,
    title: 'It may or may not have happened; send the same ids again, or look them up',
    retryAfterSeconds: 1,
  },
  not_ready: { status: 503, title: 'Not ready to take traffic', retryAfterSeconds: 1 },
} as const satisfies Record<string, ProblemKind>;

export type ProblemCode = keyof typeof PROBLEMS;

/** Amounts change by the millisecond, and answers are for one caller: no cache on the way may keep any. */
export const HEADERS_OF_EVERY_ANSWER = { 'Cache-Control': 'no-store' } as const;

/** What a handler gives back: everything that is sent, in one value. */
export interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  /** One word for the metrics: a problem's code, or what was done. */
  readonly outcome: string;
}

/** A problem by RFC 9457, as a value. `more` is added to its members. */
export function problem(code: ProblemCode, detail: string, more: Readonly<Record<string, unknown>> = {}): Reply {
  const kind: ProblemKind = PROBLEMS[code];
  const { status, title } = kind;
  return {
    status,
    contentType: 'application/problem+json',
    body: JSON.stringify({ type: `urn:stockgate:problem:${code}`, title, status, detail, code, ...more }),
    headers: kind.retryAfterSeconds === undefined ? {} : { 'Retry-After': String(kind.retryAfterSeconds) },
    outcome: code,
  };
}

/** Whether it is a fault of ours, or nobody knows what became of it. */
export function isInDoubt({ outcome }: Reply): boolean {
  return outcome === 'outcome_unknown' || outcome === 'internal';
}

/** The answer to input that cannot be meant, with every fault's path. */
export function invalid(faults: readonly Fault[]): Reply {
  const [first] = faults;
  const detail = first === undefined ? 'the request is not valid' : `${first.path} ${first.message}`;
  return problem('invalid_request', detail, { errors: faults });
}

/** A problem thrown where no value can be returned: while the request is still being read. */
export class Rejection extends Error {
  readonly reply: Reply;

  constructor(reply: Reply) {
    super(reply.outcome);
    this.reply = reply;
  }
}

/** A successful answer in JSON. */
export function json(status: 200 | 201, value: unknown, outcome = 'done'): Reply {
  return { status, contentType: 'application/json', body: JSON.stringify(value), headers: {}, outcome };
}

/** The same with whole numbers of any size, which are written digit by digit. */
export function exactJson(value: unknown, outcome: string): Reply {
  return { ...json(200, null, outcome), body: stringify(value) ?? 'null' };
}
