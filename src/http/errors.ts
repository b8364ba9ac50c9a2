import { stringify } from 'lossless-json';
import type { Fault } from '../schema/compile.ts';

/** The HTTP form of a problem. */
interface ProblemKind {
  readonly status: number;
  readonly title: string;
  /** Sent as `Retry-After` if the same request may succeed later. */
  readonly retryAfterSeconds?: number;
}

/** Every problem of a request: its stable code, status and title. No other file has the status of a problem. */
export const PROBLEMS = {
  invalid_request: { status: 400, title: 'The request is not valid' },
  unauthorized: { status: 401, title: 'A valid bearer token is needed' },
  not_found: { status: 404, title: 'There is nothing at this address' },

  unknown_sku: { status: 404, title: 'The SKU is not known' },
  unknown_deduction: { status: 404, title: 'The deduction is not known' },
  method_not_allowed: { status: 405, title: 'This address does not take this method' },

  request_timeout: { status: 408, title: 'The request did not arrive in time' },

  insufficient_stock: { status: 409, title: 'Not enough units are left' },
  idempotency_conflict: { status: 409, title: 'These ids exist with other content' },
  cancelled: { status: 409, title: 'These ids are cancelled' },

  not_on_sale: { status: 409, title: 'The SKU is not on sale' },
  over_return: { status: 409, title: 'More units than can be returned' },
  pending: { status: 409, title: 'The cart of these ids is not decided yet; try again' },

  sku_exists: { status: 409, title: 'The SKU exists with another opening stock' },
  stock_limit: { status: 409, title: 'The stock would be above the limit' },

  payload_too_large: { status: 413, title: 'The body is too large' },
  unsupported_media_type: { status: 415, title: 'The body must be JSON' },
  headers_too_large: { status: 431, title: 'The headers are too large' },

  rate_limited: { status: 429, title: 'This caller sends too many requests; nothing was done', retryAfterSeconds: 1 },

  internal: { status: 500, title: 'The gateway failed; nothing was changed' },
  overloaded: { status: 503, title: 'Nothing was done; try again', retryAfterSeconds: 1 },

  outcome_unknown: {
    status: 503,
    title: 'The request may or may not have had its effect; send the same ids again, or look them up',
    retryAfterSeconds: 1,
  },
  not_ready: { status: 503, title: 'The gateway is not ready to take traffic', retryAfterSeconds: 1 },
} as const satisfies Record<string, ProblemKind>;

export type ProblemCode = keyof typeof PROBLEMS;

/** Amounts change within milliseconds, and an answer is for one caller. So no cache may keep an answer. */
export const HEADERS_OF_EVERY_ANSWER = { 'Cache-Control': 'no-store' } as const;

/** The answer of a handler: everything that is sent, in one value. */
export interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  /** One word for the metrics: the code of a problem, or the word for a success. */
  readonly outcome: string;
}

/** Makes the answer for a problem, as in RFC 9457. @param more further members of the problem */
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

/** Whether the gateway failed, or the outcome of the request is unknown. */
export function isInDoubt({ outcome }: Reply): boolean {
  return outcome === 'outcome_unknown' || outcome === 'internal';
}

/** The answer to an invalid request, with the path of every fault. */
export function invalid(faults: readonly Fault[]): Reply {
  const [first] = faults;
  const detail = first === undefined ? 'the request is not valid' : `${first.path} ${first.message}`;
  return problem('invalid_request', detail, { errors: faults });
}

/** A problem that is thrown while the request is still being read, where no value can be returned. */
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

/** A successful answer in JSON with whole numbers of any size, which are written digit by digit. */
export function exactJson(value: unknown, outcome: string): Reply {
  return { ...json(200, null, outcome), body: stringify(value) ?? 'null' };
}
