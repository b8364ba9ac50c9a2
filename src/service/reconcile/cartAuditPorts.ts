import type { Auditor } from '../../core/ports/auditor.ts';
import type { Routing } from '../routing/routing.ts';
import type { ReadFailures } from './readFailures.ts';

/** Ids in one statement. MariaDB uses no index ranges for a list of a thousand values, and each id has two values. */
export const KEYS_AT_A_TIME = 400;

/** Shards that are audited at once. Few: an audit loads their servers, and it is not urgent. */
export const SHARDS_AT_A_TIME = 4;

/** The dependencies of comparing carts with the rows of all shards. */
export interface CartAuditPorts {
  readonly routing: Routing;
  readonly auditor: Auditor;
  /** Collects the shards that could not be read; their rows are not judged. */
  readonly readFailures: ReadFailures;
}
