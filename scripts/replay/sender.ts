import type { Answer, HttpClient } from '../support/httpClient.ts';

export interface SenderOptions {
  readonly client: HttpClient;
  /** Listeners of the same kind; any of them will do for any request. */
  readonly gateways: readonly string[];
  /** A bearer token, where one is asked for. */
  readonly token?: string | undefined;
}

export interface Message {
  /** Absent: POST. */
  readonly method?: 'POST' | 'PUT';
  readonly path: string;
  readonly body: unknown;
  /** For messages: which order or return it is. */
  readonly what: string;
}

/** A shop gives up on a request that has had no verdict for this long. */
const PATIENCE_MS = 600_000;
/** What got no answer is over this long after it was sent; until then a refusal given to another attempt says nothing of it. */
const ATTEMPT_OVER_MS = 5_000;
const PAUSE_MS_MAX = 1_000;

/** Sends requests until each has a verdict, with the same ids, as the contract asks of a shop. */
export class Sender {
  /** Of every attempt. */
  readonly latenciesMs: number[] = [];
  /** Attempts that ended without a verdict, by what was said instead. */
  readonly retried = new Map<string, number>();
  readonly #options: SenderOptions;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /**
   * @param first which gateway is asked first; every attempt asks the next one
   * @throws when there is no verdict for a long time
   */
  async untilVerdict(message: Message, first: number): Promise<Answer> {
    const giveUpMs = performance.now() + PATIENCE_MS;
    let unknownUntilMs = 0;
    for (let attempt = 0; performance.now() < giveUpMs; attempt += 1) {
      const sentMs = performance.now();
      const answer = await this.#attempt(message, first + attempt);
      const instead = noVerdict(answer);
      if (answer !== null && instead === null && (answer.status < 400 || sentMs >= unknownUntilMs)) return answer;
      const reason = instead ?? 'refused too early to be sure';
      this.retried.set(reason, (this.retried.get(reason) ?? 0) + 1);
      if (instead === 'no answer' || instead === 'outcome_unknown') unknownUntilMs = sentMs + ATTEMPT_OVER_MS;
      await pause(answer?.headers['retry-after'], attempt);
    }
    throw new Error(
      `${message.what}: no verdict within ${PATIENCE_MS / 1_000} s; ${[...this.retried].map(([reason, count]) => `${reason} ${count}`).join(', ')}`,
    );
  }

  /** Sends something once. @returns null when no answer came */
  async #attempt({ method = 'POST', path, body }: Message, index: number): Promise<Answer | null> {
    const { client, gateways, token } = this.#options;
    const startedMs = performance.now();
    try {
      return await client.call({
        method,
        url: `${gateways[index % gateways.length]}${path}`,
        body,
        headers: bearer(token),
      });
    } catch {
      return null;
    } finally {
      this.latenciesMs.push(performance.now() - startedMs);
    }
  }
}

/** The header that carries a token. */
export function bearer(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { Authorization: `Bearer ${token}` };
}

/** What an answer says when it is no verdict. */
function noVerdict(answer: Answer | null): string | null {
  if (answer === null) return 'no answer';
  const code = String(answer.body?.code ?? answer.status);
  return [429, 503].includes(answer.status) || code === 'pending' ? code : null;
}

function pause(retryAfter: string | string[] | undefined, attempt: number): Promise<void> {
  const asked = Number(retryAfter) * 1_000;
  const ms = asked > 0 ? Math.min(asked, PAUSE_MS_MAX) : Math.min(100 * (attempt + 1), PAUSE_MS_MAX);
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The value below which this share of all lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
