/** Returns a position in a clip: 75.5 seconds are 1:15.5. */
export function clock(seconds: number): string {
  const minutes = Math.floor(seconds / 60)
  return `${minutes}:${(seconds - minutes * 60).toFixed(1).padStart(4, '0')}`
}

/** Returns the limits of a part of a clip. */
export const clockRange = ({ start, end }: { readonly start: number; readonly end: number }) =>
  `${clock(start)}–${clock(end)}`

/** Returns a duration such as 2 h 5 min, 12 min or 40 s. */
export function duration(seconds: number): string {
  const minutes = Math.round(seconds / 60)
  if (minutes < 1) return `${Math.round(seconds)} s`
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
