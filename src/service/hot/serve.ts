import type { Layout } from '../../core/layout.ts';
import { planRebalance } from '../../core/moves.ts';
import type { DeadlineMs } from '../../core/nouns.ts';
import type { Ask, Gathered, Wish } from './ask.ts';
import { isHomeIn } from './collect.ts';
import type { Collected } from './collect.ts';
import { receiveAll, sendAll } from './transfers.ts';
import type { Sent, TransferParts } from './transfers.ts';

/** For putting units back, in the background. */
const PUT_BACK_MS = 1_000;

/**
 * Takes units off their rows for requests that can be served, and to fill up rows that run low.
 *
 * @returns the requests that need another round
 */
export async function serveRequests(
  ports: TransferParts,
  layout: Layout,
  requests: readonly Ask[],
  state: Collected,
  untilMs: DeadlineMs,
): Promise<Ask[]> {
  const wants = requests.map(({ wish, lack }) => ({ to: wish.to, units: lack }));
  const { moves, unserved } = planRebalance(state.rows, wants, isHomeIn(layout));
  const sent = await sendAll(ports, layout.sku_id, moves, untilMs);
  const ahead = sent.flatMap(({ move, transfer }) => (move.request === null && transfer !== null ? [transfer] : []));
  const handOver = (isMeant: (wish: Wish) => boolean): Ask[] =>
    requests.filter(
      (request, want) =>
        isMeant(request.wish) &&
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
function handTo(ports: TransferParts, request: Ask, sent: readonly Sent[]): boolean {
  request.credits = [...request.credits, ...sent.flatMap(({ transfer }) => transfer ?? [])];
  if (request.lack > 0) {
    if (sent.every(({ transfer, isShort }) => transfer !== null || isShort)) return false;
    endRequest(ports, request, { is: 'not_done', reason: 'a row that has units could not be reached' });
  } else if (request.isOver) putBackUnits(ports, request);
  else request.tell({ is: 'fetched', credits: request.credits });
  return true;
}

/** Answers a request and puts the units back that were fetched for it. */
export function endRequest(ports: TransferParts, request: Ask, answer: Gathered): void {
  request.tell(answer);
  putBackUnits(ports, request);
}

/** Puts the units of a request back, in the background: an unreachable shard must not delay any other request. */
export function putBackUnits(ports: TransferParts, request: Ask): void {
  const { credits } = request;
  request.credits = [];
  if (credits.length > 0) void receiveAll(ports, credits, performance.now() + PUT_BACK_MS);
}
