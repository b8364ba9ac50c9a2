import type { NotDone, Refused, Unknown } from '../core/outcome.ts';
import { problem } from './errors.ts';
import type { Reply } from './errors.ts';

/**
 * Says why something was not done, or that nobody knows. The reasons kept in the outcome name hosts and statements, so
 * they go to the log and not to the caller.
 */
export function failureReply(outcome: Refused | NotDone | Unknown): Reply {
  switch (outcome.is) {
    case 'refused':
      return outcome.lines.length === 0
        ? problem(outcome.code, 'nothing was changed', outcome.returnable === undefined ? {} : { returnable: outcome.returnable })
        : problem(outcome.code, `${outcome.lines.length} of the lines stand in the way; nothing was changed`, {
            lines: outcome.lines,
          });
    case 'not_done':
      return problem('overloaded', 'the shard could not take the request in time; nothing was changed');
    case 'unknown':
      return problem('outcome_unknown', 'the shard did not say whether it happened');
  }
}
