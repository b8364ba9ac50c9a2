import type { DeadlineMs, RowPlace } from '../../core/types.ts';
import { pause } from '../../core/async/pause.ts';
import type { PendingStockRequest } from './stockRequest.ts';
import type { AllRows } from './readAllRows.ts';
import { receiveAll } from './transfers.ts';
import type { TransferPorts } from './transfers.ts';

/** A transfer that has been open for this long was abandoned by its gateway. */
const OVERDUE_MS = 400;
const TRY_AGAIN_MS = 1_000;
/** How long a round waits for overdue transfers. */
const WAIT_MS = 50;
const RECEIVE_MS = 1_000;

/** The ports for crediting overdue transfers. */
export interface OverduePorts extends TransferPorts {
  /** The server of each shard, by its index. */
  readonly servers: readonly string[];
}

/** Credits transfers that another gateway has left open. */
export class OverdueTransfers {
  readonly #ports: OverduePorts;
  /** The transfers that were tried, and the moment from which each may be tried again. */
  readonly #tried = new Map<string, DeadlineMs>();

  constructor(ports: OverduePorts) {
    this.#ports = ports;
  }

  /**
   * Credits the overdue transfers of a SKU. An unreachable shard is not waited for, and not tried again for 1 s.
   *
   * @returns whether there were any
   */
  async receive(requests: readonly PendingStockRequest[], { transfers }: AllRows): Promise<boolean> {
    const nowMs = performance.now();
    for (const [transfer_id, untilMs] of this.#tried) if (untilMs <= nowMs) this.#tried.delete(transfer_id);
    // A transfer to a shard that does not exist stays open: its units are in no row, so the SKU is not sold out.
    const exists = ({ to }: { to: RowPlace }): boolean => to.shard < this.#ports.servers.length;
    const due = transfers.filter(
      (each) => each.ageMs >= OVERDUE_MS && exists(each) && !this.#tried.has(each.transfer_id),
    );
    if (due.length === 0) return false;
    const ids = new Set(due.map(({ transfer_id }) => transfer_id));
    for (const transfer_id of ids) this.#tried.set(transfer_id, nowMs + TRY_AGAIN_MS);
    // Units that were fetched for a request so long ago now enter their row, where any order can take them.
    for (const request of requests)
      request.credits = request.credits.filter(({ transfer_id }) => !ids.has(transfer_id));
    await Promise.race([receiveAll(this.#ports, due, nowMs + RECEIVE_MS), pause(WAIT_MS)]);
    return true;
  }
}
