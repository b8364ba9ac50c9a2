import type { ShardIndex } from '../types.ts';

/** A traced request, as the services see it. */
export interface Trace {
  /** Records the start of an operation on a shard. @returns a function to be called once, with the outcome */
  begin(operation: string, shard: ShardIndex): (ending: string) => void;
}

/** The parts of a request that are known before its body is read. */
export interface TraceableRequest {
  readonly method: string;
  /** The HTTP version, such as `1.1`. */
  readonly version: string;
  /** As in the W3C Trace Context. Absent also when the caller's trace is not to be continued. */
  readonly traceparent?: string;
  readonly tracestate?: string;
}

/** How a request ended. */
export interface TraceableAnswer {
  /** The route of the request, without values of the caller; null: no route matched. */
  readonly route: string | null;
  readonly outcome: string;
  readonly status: number;
  /** Null: the request has no id. */
  readonly requestId: string | null;
}

/** A request from its first byte to its answer. */
export interface RequestTrace {
  /**
   * 32 hexadecimal digits. If the caller gave it, the caller can find the request by it even when no span is recorded
   * here.
   */
  readonly traceId: string;
  /** Null: operations inside the request are not recorded. */
  readonly operations: Trace | null;
  /** Ends the trace. To be called once. */
  answered(answer: TraceableAnswer): void;
}

/** Records traces of some requests. No method throws, and no request waits for it. */
export interface Tracer {
  /** @returns null when the request is not traced */
  begin(request: TraceableRequest): RequestTrace | null;
  /** Exports the remaining spans, within the time limit of a shutdown. */
  stop(): Promise<void>;
}
