/** A file that could not be indexed. The failure is kept until the file is indexed or pruned. */
export interface Failure {
  readonly path: string
  readonly code: string
  readonly detail: string
  readonly bytes: number
  readonly mtimeMs: number
  readonly failedAt: string // ISO 8601
}
