/** setTimeout takes at most so many ms; a longer time would be taken for 1 ms. */
export const longestTimerMs = 2 ** 31 - 1;
