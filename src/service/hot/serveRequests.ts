import type { Layout } from '../../core/hot/layout.ts';
import { planRebalance } from '../../core/hot/rebalancePlan.ts';
import type { DeadlineMs } from '../../core/types.ts';
import type { PendingStockRequest, StockRequestOutcome, StockRequest } from './stockRequest.ts';
import { takesNewIdsIn } from './readAllRows.ts';
import type { AllRows } from './readAllRows.ts';
import { receiveAll, sendAll } from './transfers.ts';
import type { SentMove, TransferPorts } from './transfers.ts';

/** For putting units back, in the background. */
const PUT_BACK_MS = 1_000;

/**
 * Takes units off their rows for requests that can be served, and to fill up rows that run low.
 *
 * @returns the requests that need another round
 */
export async function serveRequests(
  ports: TransferPorts,
  layout: Layout,
  requests: readonly PendingStockRequest[],
  state: AllRows,
  untilMs: DeadlineMs,
): Promise<PendingStockRequest[]> {
  const wants = requests.map(({ request, unitsMissing }) => ({ to: request.to, units: unitsMissing }));
  const { moves, unserved } = planRebalance(state.rows, wants, takesNewIdsIn(layout));
  const sent = await sendAll(ports, layout.sku_id, moves, untilMs);
  const ahead = sent.flatMap(({ move, transfer }) => (move.request === null && transfer !== null ? [transfer] : []));
  const handOver = (isMeant: (wish: StockRequest) => boolean): PendingStockRequest[] =>
    requests.filter(
      (request, want) =>
        isMeant(request.request) &&
        (unserved.includes(want) ||
          !handTo(
            ports,
            request,
            sent.filter(({ move }) => move.request === want),
          )),
    );
  const again = handOver(({ units }) => units > 0);
  if (ahead.length > 0) await receiveAll(ports, ahead, untilMs);
  // A request for no units is answered after the rows have been filled up.
  return [...again, ...handOver(({ units }) => units === 0)];
}

/** Hands a request the units that left their rows for it. @returns false when some are still missing */
function handTo(ports: TransferPorts, request: PendingStockRequest, sent: readonly SentMove[]): boolean {
  request.credits = [...request.credits, ...sent.flatMap(({ transfer }) => transfer ?? [])];
  if (request.unitsMissing > 0) {
    if (sent.every(({ transfer, isShort }) => transfer !== null || isShort)) return false;
    endRequest(ports, request, { is: 'not_done', reason: 'a row that has units could not be reached' });
  } else if (request.isAnswered) putBackUnits(ports, request);
  else request.answer({ is: 'fetched', credits: request.credits });
  return true;
}

/** Answers a request and puts the units back that were fetched for it. */
export function endRequest(ports: TransferPorts, request: PendingStockRequest, answer: StockRequestOutcome): void {
  request.answer(answer);
  putBackUnits(ports, request);
}

/** Puts the units of a request back, in the background: an unreachable shard must not delay any other request. */
export function putBackUnits(ports: TransferPorts, request: PendingStockRequest): void {
  const { credits } = request;
  request.credits = [];
  if (credits.length > 0) void receiveAll(ports, credits, performance.now() + PUT_BACK_MS);
}
