import Database from 'better-sqlite3'
import type { CatalogueHeader } from '../catalogue/catalogue.js'

export interface StoredHeader extends CatalogueHeader {
  readonly successor: string | null // fingerprint of the gallery that took its place
}

/** What a catalogue is stamped with, whatever bundle is at hand; undefined where there is no catalogue. */
export function readHeader(file: string): StoredHeader | undefined {
  let db: Database.Database | undefined
  try {
    db = new Database(file, { readonly: true, fileMustExist: true })
    const row = db
      .prepare<[], CatalogueHeader & { successor?: string | null }>('SELECT * FROM stamp')
      .get()
    return (
      row && {
        fingerprint: row.fingerprint,
        dimension: row.dimension,
        successor: row.successor ?? null,
      }
    )
  } catch {
    return undefined
  } finally {
    db?.close()
  }
}
