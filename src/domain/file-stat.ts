/** The size and time of a file. A file with equal values counts as unchanged. */
export interface FileStat {
  readonly bytes: number
  readonly mtimeMs: number
}
