import type { BackendPorts } from '../../../src/app/backendPorts.ts';
import { createLog } from '../../../src/log.ts';
import type { EngineName } from '../engines/engines.ts';
import { startTestGateway } from '../gateway/gateway.ts';
import type { TestGateway } from '../gateway/gateway.ts';
import { stack } from '../run/setup.ts';
import { withOldProtocol } from './oldProtocol.ts';

/** A way to sell an order over several shards of the shared stack, and shards for which a gateway takes it. */
export interface Protocol {
  readonly name: string;
  /**
   * Different shards. An order with one line on each of the first two holds the units of the first line before it takes
   * those of the second, unless it holds nothing.
   */
  readonly shards: readonly [number, number, number, number];
  /** Whether units are held before the order is decided. */
  readonly holds: boolean;
  /** The engine of a bench that sells in this way. */
  readonly engine: EngineName;
  /** Makes a gateway with the batching engine sell in this way. */
  around<P extends Pick<BackendPorts, 'engine' | 'records'>>(ports: P): P;
}

/** One operation in the batch of one server. */
export const JOINTLY: Protocol = {
  name: 'one operation on one server',
  shards: [6, 2, 5, 1],
  holds: false,
  engine: 'batching',
  around: (ports) => ports,
};

/** A transaction over both servers. The first server coordinates it when both have equal numbers of its lines. */
export const IN_TRANSACTION: Protocol = {
  name: 'a transaction over two servers',
  shards: [10, 2, 13, 5],
  holds: true,
  engine: 'batching',
  around: (ports) => ports,
};

/** A cart record with attempts, as gateways sell during a rolling upgrade. */
export const WITH_ATTEMPTS: Protocol = {
  name: 'a cart with attempts',
  shards: [2, 10, 5, 13],
  holds: true,
  engine: 'textbook',
  around: withOldProtocol,
};

/** Every way in which an order over several shards is sold. */
export const PROTOCOLS: readonly Protocol[] = [JOINTLY, IN_TRANSACTION, WITH_ATTEMPTS];

/** The ways that hold units before the order is decided. */
export const HOLDING_PROTOCOLS: readonly Protocol[] = PROTOCOLS.filter(({ holds }) => holds);

/** A gateway on the shared shards that sells in this way. */
export function startProtocolGateway(protocol: Protocol): Promise<TestGateway> {
  return startTestGateway({}, stack(), createLog('silent'), (ports) => protocol.around(ports));
}
