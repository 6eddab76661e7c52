/** The largest numbers that are taken for what they say, whatever the machine. What the machine itself allows is in limits.ts. */

/** Of a training: years, for any network. The names of checkpoints have as many digits. */
export const mostSteps = 999_999_999;

/** More threads than any machine runs at a time: native libraries crash on absurd numbers. */
export const mostThreads = 1024;
