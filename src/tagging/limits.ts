/** Labels of one answer: there are no more classes. */
export const MOST_LABELS = 527
