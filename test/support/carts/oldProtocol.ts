import type { BackendPorts } from '../../../src/app/backendPorts.ts';

/** The ports that choose between the protocols of an order over several shards. */
type Choosing = Pick<BackendPorts, 'engine' | 'records'>;

/**
 * The ports of a gateway that sells every order over several shards with the protocol of before the records of orders:
 * a cart record with attempts. Gateways use it during a rolling upgrade.
 */
export function withOldProtocol<P extends Choosing>(ports: P): P {
  const { engine, records } = ports;
  const chosen: Choosing = {
    engine: {
      apply: (...given) => engine.apply(...given),
      groupOf: () => null,
      applyJointly: (...given) => engine.applyJointly(...given),
    },
    records: {
      begin: (coordinator) => records.begin(coordinator),
      areUsable: () => false,
      resolve: (...given) => records.resolve(...given),
      deleteAborted: (...given) => records.deleteAborted(...given),
    },
  };
  return { ...ports, ...chosen };
}
