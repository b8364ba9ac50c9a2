import Router from '@koa/router';
import Koa from 'koa';
import type { Static, TSchema } from 'typebox';
import { shown } from '../core/shown.ts';
import type { RequestTrace, Tracer } from '../core/trace.ts';
import { compile } from '../schema/compile.ts';
import type { Checked, Fault } from '../schema/compile.ts';
import { bearerCheck, callerOf } from './auth.ts';
import { readJson } from './body.ts';
import { HEADERS_OF_EVERY_ANSWER, invalid, isInDoubt, problem, Rejection } from './errors.ts';
import type { Reply } from './errors.ts';
import { readQuery } from './query.ts';
import { requestIdOf } from './requestId.ts';
import { methodsOf } from './route.ts';
import type { Route } from './route.ts';
import { requestRecord } from './schemaParts.ts';
import { stallWatch } from './stall.ts';

export interface ListenerOptions {
  readonly routes: readonly Route[];
  readonly tokens: readonly string[];
  /** The longest a request may take, unless its call says otherwise. */
  readonly requestMs: number;
  /** Whether a caller may ask once more; absent: he may. */
  readonly mayAsk?: (caller: string) => Promise<boolean>;
  /** Follows requests; absent: none is followed. */
  readonly tracer?: Tracer;
  /** Told once per request, after its answer is made. */
  readonly onAnswered: (answered: Answered) => void;
  /** Told of faults that no code foresaw. */
  readonly onFault: (error: unknown, at: FaultPlace) => void;
  /** True while the gateway drains: answers then ask the client to leave. */
  readonly isDraining: () => boolean;
}

/** The request that a fault was met in. */
export interface FaultPlace {
  readonly route: string;
  readonly requestId: string | null;
  readonly traceId?: string;
}

/** A request whose answer is made. */
export interface Answered {
  readonly route: string;
  readonly outcome: string;
  readonly status: number;
  /** Somebody will ask what became of it. */
  readonly isInDoubt: boolean;
  readonly seconds: number;
  /** Null: nobody has asked for one. */
  readonly requestId: string | null;
  /** Absent: nobody follows it. */
  readonly traceId?: string;
}

interface State {
  /** The call that took the request, for metrics. */
  route: string;
  /** Made when somebody asks for it: most requests end without. */
  requestId?: string;
  /** Absent: nobody follows it. */
  trace?: RequestTrace;
  /** What a call behind the router answered; absent when none took the request. */
  reply?: Reply;
}

/** Makes the Koa application of one listener out of its calls. Every answer leaves through one function. */
export function listenerApp(options: ListenerOptions): Koa {
  const app = new Koa<State>();
  const waitingSince = stallWatch();
  app.silent = true;
  app.on('error', (error: Error & { code?: string }) => {
    // A caller that went away is no fault of ours; its request is finished all the same and can be looked up.
    if (!['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE'].includes(error.code ?? ''))
      options.onFault(error, { route: 'none', requestId: null });
  });
  const calls = options.routes.map((declared) => ({ declared, handle: handlerOf(declared, options, waitingSince) }));
  app.use(answerOnce(options, directly(calls)));
  app.use(router(calls).routes());
  return app;
}

/** The outermost middleware: the only one that writes an answer, sees every exception and knows the token. */
function answerOnce(options: ListenerOptions, direct: ReadonlyMap<string, Handle>): Koa.Middleware<State> {
  const isKnown = bearerCheck(options.tokens);
  const openPaths = new Set(options.routes.filter((route) => route.open).map((route) => route.path));
  return async (context, next) => {
    const startedMs = performance.now();
    context.state.route = 'none';
    let reply: Reply;
    const fault = addressFault(context);
    const isOpen = (): boolean => fault === null && openPaths.has(context.path);
    const isCaller = isKnown(context.req.headers.authorization);
    if (fault !== null) reply = invalid([fault]);
    else if (!isCaller && !isOpen()) {
      reply = problem('unauthorized', 'send Authorization: Bearer <token>');
      context.set('WWW-Authenticate', 'Bearer');
    } else if (
      options.mayAsk !== undefined &&
      !isOpen() &&
      !(await options.mayAsk(callerOf(context.req, options.tokens.length > 0)))
    ) {
      reply = problem('rate_limited', 'wait as long as Retry-After says');
    } else {
      // Only now: a request that is turned away makes no span.
      if (options.tracer !== undefined && !isOpen()) follow(context, options.tracer);
      const handle = direct.get(`${context.req.method} ${context.req.url}`);
      reply = await (handle === undefined ? routed(context, next, options) : handle(context));
    }
    context.status = reply.status;
    context.set(reply.headers);
    context.set(HEADERS_OF_EVERY_ANSWER);
    if (options.isDraining()) context.set('Connection', 'close');
    // Who names his requests finds the name again, and so does who must ask us what became of one: those are in the log.
    if (context.req.headers['x-request-id'] !== undefined || isInDoubt(reply))
      context.set('X-Request-Id', idOf(context));
    context.type = reply.contentType;
    context.body = reply.body;
    const seconds = (performance.now() - startedMs) / 1_000;
    const { route, requestId = null, trace } = context.state;
    const { outcome, status } = reply;
    trace?.answered({ route: route === 'none' ? null : route, outcome, status, requestId });
    options.onAnswered({
      route,
      outcome,
      status,
      isInDoubt: isInDoubt(reply),
      seconds,
      requestId,
      ...(trace !== undefined && { traceId: trace.traceId }),
    });
  };
}

/** Begins the trace of a request that was let in. */
function follow({ req, state }: Context, tracer: Tracer): void {
  const { traceparent, tracestate } = req.headers;
  const trace = tracer.begin({
    method: req.method ?? '',
    version: req.httpVersion,
    ...(typeof traceparent === 'string' && { traceparent }),
    ...(typeof tracestate === 'string' && { tracestate }),
  });
  if (trace !== null) state.trace = trace;
}

/** What the router's calls answer; whatever is thrown outside them comes before anything was changed. */
async function routed(
  context: Koa.ParameterizedContext<State>,
  next: Koa.Next,
  options: ListenerOptions,
): Promise<Reply> {
  try {
    await next();
    return context.state.reply ?? notFound(context, options.routes);
  } catch (error) {
    options.onFault(error, placeOf(context));
    return problem('internal', 'a fault of the gateway');
  }
}

type Context = Koa.ParameterizedContext<State>;

function placeOf(context: Context): FaultPlace {
  const { route, trace } = context.state;
  return { route, requestId: idOf(context), ...(trace !== undefined && { traceId: trace.traceId }) };
}

function idOf({ req, state }: Context): string {
  return (state.requestId ??= requestIdOf(req.headers['x-request-id']));
}

/** Answers a request of one call, and throws nothing; sets `route` of its state. */
type Handle = (context: Context) => Promise<Reply>;

interface Call {
  readonly declared: Route;
  readonly handle: Handle;
}

/** Calls whose address is one text, by it: the busiest are, and matching patterns is a tenth of what they cost. */
function directly(calls: readonly Call[]): ReadonlyMap<string, Handle> {
  const withoutParameters = calls.filter(({ declared }) => !declared.path.includes(':'));
  return new Map(withoutParameters.map(({ declared, handle }) => [nameOf(declared), handle]));
}

function router(calls: readonly Call[]): Router<State> {
  const routes = new Router<State>({ strict: true, sensitive: true });
  for (const { declared, handle } of calls) {
    routes.register(declared.path, [declared.method], async (context: Context) => {
      context.state.reply = await handle(context);
    });
  }
  return routes;
}

function nameOf({ method, path }: Route): string {
  return `${method.toUpperCase()} ${path}`;
}

/** A parameter that a call does not have is refused, like an unknown member of a body. */
const NO_QUERY = requestRecord({});

function handlerOf(declared: Route, options: ListenerOptions, waitingSince: () => number): Handle {
  const name = nameOf(declared);
  const checkParams = checker(declared.params, 'path');
  const checkQuery = checker(declared.query ?? (declared.path.startsWith('/v1/') ? NO_QUERY : undefined), 'query');
  const checkBody = checker(declared.body, 'body');
  return async (context) => {
    context.state.route = name;
    try {
      const stalledMs = performance.now() - waitingSince();
      const params = checkParams((context as { params?: unknown }).params);
      const query = checkQuery(readQuery(context.querystring));
      const body = declared.body === undefined ? undefined : checkBody(await readJson(context.req));
      // The clock runs from here: how long a body takes to arrive is the caller's affair, within the server's limits.
      const deadlineMs = performance.now() + (declared.requestMs ?? options.requestMs) - stalledMs;
      return await declared.handle({ params, query, body, deadlineMs, trace: context.state.trace?.inside ?? null });
    } catch (error) {
      return error instanceof Rejection ? error.reply : replyToFault(error, declared, options, placeOf(context));
    }
  };
}

function replyToFault(error: unknown, declared: Route, options: ListenerOptions, at: FaultPlace): Reply {
  options.onFault(error, at);
  // What an unforeseen fault interrupted may have been committed before.
  return declared.changes === true
    ? problem('outcome_unknown', 'a fault of the gateway; it may have happened')
    : problem('internal', 'a fault of the gateway');
}

/** Checks one part of the input. @returns a function that throws a Rejection with every fault's path */
function checker<S extends TSchema>(schema: S | undefined, root: string): (input: unknown) => Static<S> {
  if (schema === undefined) return (input) => input as Static<S>;
  const check = compile(schema, root);
  return (input) => {
    const checked: Checked<Static<S>> = check(input);
    if (!checked.ok) throw new Rejection(invalid(checked.faults));
    return checked.value;
  };
}

/** Nothing took the request: another method might. */
function notFound(context: Koa.Context, routes: readonly Route[]): Reply {
  const methods = methodsOf(routes.filter((route) => pattern(route.path).test(context.path)));
  if (methods.length === 0) return problem('not_found', `no call has the address ${shown(context.path)}`);
  const allow = methods.join(', ');
  context.set('Allow', allow);
  return problem('method_not_allowed', `this address takes ${allow}, found ${context.method}`);
}

function pattern(path: string): RegExp {
  return new RegExp(`^${path.replaceAll(/:\w+/g, '[^/]+').replaceAll('.', '\\.')}$`);
}

/** What stands in the way of knowing which address is meant, before anything else is looked at. */
function addressFault(context: Context): Fault | null {
  const { url = '', httpVersion, headers } = context.req;
  if (httpVersion === '1.1' && headers.host === undefined) return { path: 'headers.host', message: 'is required' };
  // What follows a bare # would be cut off, and `a#b` taken for `a`.
  if (url.includes('#')) return { path: 'url', message: 'has a # that is not percent-encoded' };
  if (!isDecodable(url)) return { path: 'url', message: 'is not well-formed percent-encoding' };
  if (isReadable(context)) return null;
  return { path: 'url', message: `must be a path, or a whole address with a host, found ${shown(url)}` };
}

/** `http://[::1` throws wherever its path is asked for. */
function isReadable(context: Context): boolean {
  if (context.url.startsWith('/')) return true;
  try {
    return context.path !== undefined;
  } catch {
    return false;
  }
}

/** `%FF` must not become U+FFFD, nor `%zz` stay as it is: two spellings of one id, or two ids in one. */
function isDecodable(url: string): boolean {
  if (!url.includes('%')) return true;
  try {
    decodeURIComponent(url);
    return true;
  } catch {
    return false;
  }
}
