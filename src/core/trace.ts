import type { ShardIndex } from './nouns.ts';

/** A request that is followed through the gateway, as its services see it. */
export interface Trace {
  /** Something begins on a shard. @returns to be called once, with the word for how it ended */
  began(operation: string, shard: ShardIndex): (ending: string) => void;
}

/** What is known of a request before it is read. */
export interface TraceableRequest {
  readonly method: string;
  /** Of HTTP, like `1.1`. */
  readonly version: string;
  /** By the W3C's Trace Context; absent also where it is not to be followed. */
  readonly traceparent?: string;
  readonly tracestate?: string;
}

/** How a request ended. */
export interface TraceableAnswer {
  /** The call that took it, without anything that its caller named; null: none did. */
  readonly route: string | null;
  readonly outcome: string;
  readonly status: number;
  /** Null: it has no name. */
  readonly requestId: string | null;
}

/** A request from its first byte to its answer. */
export interface RequestTrace {
  /** 32 hexadecimal digits. Its caller may have given it, and may find the request by it though nobody here tells of it. */
  readonly traceId: string;
  /** Null: what happens in it is told to nobody. */
  readonly inside: Trace | null;
  /** To be called once. */
  answered(answer: TraceableAnswer): void;
}

/** Tells somebody what becomes of some requests. Nothing of it throws, and nobody waits for it. */
export interface Tracer {
  /** @returns null where nobody will ask for a trace */
  begin(request: TraceableRequest): RequestTrace | null;
  /** Tells what was not told yet, in so much time as there is for it. */
  stop(): Promise<void>;
}
