import type { Static, TSchema } from 'typebox';
import type { DeadlineMs } from '../core/types.ts';
import type { Trace } from '../core/ports/tracer.ts';
import type { ProblemCode, Reply } from './errors.ts';

/** The checked input of a handler, in the types of its schemas. */
export interface Input<Params, Query, Body> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly deadlineMs: DeadlineMs;
  /** Null: the request is not traced. */
  readonly trace: Trace | null;
}

interface RouteParts<P extends TSchema, Q extends TSchema, B extends TSchema> {
  readonly method: 'get' | 'post' | 'put' | 'delete';
  /** Koa's form: `/v1/skus/:sku_id`. */
  readonly path: string;
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  /** Success answers by status. */
  readonly answers: Readonly<Record<number, TSchema | 'text'>>;
  /** The problems of this call, besides those that every call has. */
  readonly problems: readonly ProblemCode[];
  /**
   * True when the call changes stock: then an unexpected error is answered with `outcome_unknown`, never `internal`.
   */
  readonly changes?: boolean;
  /** The longest time for this call, if it may take longer than other calls. */
  readonly requestMs?: number;
  /** True when no token is required. */
  readonly open?: boolean;
  handle(input: Input<Static<P>, Static<Q>, Static<B>>): Promise<Reply> | Reply;
}

/** The parts of a call's description besides its route. */
interface CallParts<B> {
  /** A verb and a noun. Generated clients name a function after it, so it never changes. */
  readonly operationId: string;
  /** One line. */
  readonly summary: string;
  /** Facts for a caller that neither the summary nor the schemas have. */
  readonly description?: string;
  readonly examples: CallExamples<B>;
}

/** Examples of a call. Its schemas accept them. */
export interface CallExamples<B> {
  readonly body?: B;
  /** Success answers by status. */
  readonly answers: Readonly<Record<number, unknown>>;
  /** Problems that this call answers in a form of its own. */
  readonly problems?: Readonly<Partial<Record<ProblemCode, Reply>>>;
}

/** The action of a listener at an address. */
export type Route = RouteParts<TSchema, TSchema, TSchema>;

/** One call of the API: a route with its description. */
export type ApiCall = Route & CallParts<unknown>;

/** Declares a route that is not part of the API. */
export function route<P extends TSchema, Q extends TSchema, B extends TSchema>(parts: RouteParts<P, Q, B>): Route {
  return parts;
}

/** Declares a call of the API. The input of its handler and the example of its body have the types of its schemas. */
export function apiCall<P extends TSchema, Q extends TSchema, B extends TSchema>(
  parts: RouteParts<P, Q, B> & CallParts<Static<B>>,
): ApiCall {
  return parts;
}

/** The methods of some calls, each once, as `Allow` lists them. */
export function methodsOf(routes: readonly Route[]): string[] {
  return [...new Set(routes.map(({ method }) => method.toUpperCase()))];
}
