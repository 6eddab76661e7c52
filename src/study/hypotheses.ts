/** What was believed before a study, and what its effects say of it. */
import type { Effect } from './effects.ts';
import { verdictOf } from './verdict.ts';
import { seedsToResolve } from './statistics.ts';
import type { Hypothesis } from './study-schema.ts';

/** `open`: the interval is too wide to tell, or there is none. */
export type Answer = 'holds' | 'does not hold' | 'open';

export interface JudgedChange {
  readonly name: string;
  /** Undefined where no seed has been trained with and without the change. */
  readonly effect: Effect | undefined;
  readonly answer: Answer;
  /** Where it is open, seeds that would find a difference of `within` in four studies of five; undefined if that cannot be said, or it takes more than 1,000. */
  readonly seedsNeeded: number | undefined;
}

export interface JudgedHypothesis {
  readonly hypothesis: string;
  readonly expected: Hypothesis['expected'];
  readonly within: number;
  readonly changes: readonly JudgedChange[];
  /** `in part`: of some of its changes, and not of others. */
  readonly answer: Answer | 'in part';
}

/** Judges each hypothesis by the effects of the changes that it names. */
export function judgeHypotheses(hypotheses: readonly Hypothesis[], effects: readonly Effect[]): JudgedHypothesis[] {
  return hypotheses.map(({ hypothesis, changes: names, expected, within }) => {
    const changes = names.map((name): JudgedChange => {
      const effect = effects.find((each) => each.name === name);
      const answer = effect === undefined ? 'open' : answerOf(effect, expected, within / 100);
      const { deviation } = effect ?? {};
      const seedsNeeded = answer !== 'open' || !deviation ? undefined : seedsToResolve(within / 100, deviation);
      return { name, effect, answer, seedsNeeded };
    });
    return { hypothesis, expected, within, changes, answer: together(changes.map(({ answer }) => answer)) };
  });
}

/**
 * Better or worse as the study's verdict says, which is corrected for all its comparisons. The same: the whole interval is within the margin, as in
 * equivalence tests (Schuirmann, 1987, there with intervals of 90%); not the same: all of it is outside. A change expected to be worse is not if
 * its interval ends before the margin.
 *
 * @param margin a fraction: 0.005 is half a point
 */
function answerOf(effect: Effect, expected: Hypothesis['expected'], margin: number): Answer {
  const { low, high } = effect;
  if (low === undefined || high === undefined) return 'open';
  const verdict = verdictOf(effect);
  const isDifferent = verdict === 'better' || verdict === 'worse';
  if (expected === 'same') {
    if (-margin < low && high < margin) return 'holds';
    return isDifferent && (low >= margin || high <= -margin) ? 'does not hold' : 'open';
  }
  if (verdict === expected) return 'holds';
  const isTooSmall = expected === 'worse' ? low > -margin : high < margin;
  return isDifferent || isTooSmall ? 'does not hold' : 'open';
}

function together(answers: readonly Answer[]): JudgedHypothesis['answer'] {
  if (answers.includes('does not hold')) return answers.includes('holds') ? 'in part' : 'does not hold';
  return answers.includes('open') ? 'open' : 'holds';
}
