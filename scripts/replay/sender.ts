import type { Answer, HttpClient } from '../support/httpClient.ts';

export interface SenderOptions {
  readonly client: HttpClient;
  /** Listeners of the same kind; each of them accepts any request. */
  readonly gateways: readonly string[];
  /** A bearer token, where the listener requires one. */
  readonly token?: string | undefined;
}

export interface Message {
  /** Absent: POST. */
  readonly method?: 'POST' | 'PUT';
  readonly path: string;
  readonly body: unknown;
  /** For messages: the order or return. */
  readonly what: string;
}

/** An answer that ends a request. */
export interface FinalAnswer extends Answer {
  /** From sending the first attempt to this answer, with all retries and the pauses before them. */
  readonly latencyMs: number;
}

/** A shop gives up on a request that has had no final answer for this long. */
const PATIENCE_MS = 600_000;
/**
 * An attempt without an answer can have no effect any more this long after it was sent. Until then a refusal of another
 * attempt is not final.
 */
const ATTEMPT_OVER_MS = 5_000;
const PAUSE_MS_MAX = 1_000;

/** Sends each request with the same ids until it has a final answer, as the contract requires of a shop. */
export class Sender {
  /** Attempts so far, of all requests. */
  attemptCount = 0;
  /** Counts of attempts without a final answer, by their reason. */
  readonly retryReasons = new Map<string, number>();
  readonly #options: SenderOptions;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /**
   * @param first the index of the first gateway; every attempt uses the next one
   * @throws when there is no final answer for a long time
   */
  async untilFinalAnswer(message: Message, first: number): Promise<FinalAnswer> {
    const firstSentMs = performance.now();
    const giveUpMs = firstSentMs + PATIENCE_MS;
    let unknownUntilMs = 0;
    for (let attempt = 0; performance.now() < giveUpMs; attempt += 1) {
      const sentMs = performance.now();
      const answer = await this.#attempt(message, first + attempt);
      const notFinal = notFinalBecause(answer);
      if (answer !== null && notFinal === null && (answer.status < 400 || sentMs >= unknownUntilMs))
        return { ...answer, latencyMs: performance.now() - firstSentMs };
      const reason = notFinal ?? 'refused too early to be final';
      this.retryReasons.set(reason, (this.retryReasons.get(reason) ?? 0) + 1);
      if (notFinal === 'no answer' || notFinal === 'outcome_unknown') unknownUntilMs = sentMs + ATTEMPT_OVER_MS;
      await pause(answer?.headers['retry-after'], attempt);
    }
    const reasons = [...this.retryReasons].map(([reason, count]) => `${reason} ${count}`).join(', ');
    throw new Error(`${message.what}: no final answer within ${PATIENCE_MS / 1_000} s; ${reasons}`);
  }

  /** Sends a message once. @returns null when no answer came */
  async #attempt({ method = 'POST', path, body }: Message, index: number): Promise<Answer | null> {
    const { client, gateways, token } = this.#options;
    this.attemptCount += 1;
    try {
      return await client.call({
        method,
        url: `${gateways[index % gateways.length]}${path}`,
        body,
        headers: bearer(token),
      });
    } catch {
      return null;
    }
  }
}

/** The header that carries a token. */
export function bearer(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { Authorization: `Bearer ${token}` };
}

/** The reason why an answer is not final; null when it is final. */
function notFinalBecause(answer: Answer | null): string | null {
  if (answer === null) return 'no answer';
  const code = String(answer.body?.code ?? answer.status);
  return [429, 503].includes(answer.status) || code === 'pending' ? code : null;
}

function pause(retryAfter: string | string[] | undefined, attempt: number): Promise<void> {
  const asked = Number(retryAfter) * 1_000;
  const ms = asked > 0 ? Math.min(asked, PAUSE_MS_MAX) : Math.min(100 * (attempt + 1), PAUSE_MS_MAX);
  return new Promise((resolve) => setTimeout(resolve, ms));
}
