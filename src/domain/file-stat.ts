/** By what a file is known to be as it was, without reading it. */
export interface FileStat {
  readonly bytes: number
  readonly mtimeMs: number
}
