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
  readonly summary: string;
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

/** One call of the API, in the form that the listener and the description share. */
export type Route = RouteParts<TSchema, TSchema, TSchema>;

/** Declares a call. The input of its handler has the types of its schemas. */
export function route<P extends TSchema, Q extends TSchema, B extends TSchema>(parts: RouteParts<P, Q, B>): Route {
  return parts;
}

/** The methods of some calls, each once, as `Allow` lists them. */
export function methodsOf(routes: readonly Route[]): string[] {
  return [...new Set(routes.map(({ method }) => method.toUpperCase()))];
}
