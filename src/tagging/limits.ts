/** Labels in one response, at most: AudioSet has 527 classes. */
export const MOST_LABELS = 527
