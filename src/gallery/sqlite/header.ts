import Database from 'better-sqlite3'
import type { CatalogueHeader } from '../catalogue/catalogue.js'

/** The header that a catalogue stores. */
export interface StoredHeader extends CatalogueHeader {
  readonly successor: string | null // fingerprint of the gallery that replaced this one
}

/**
 * Returns the header of a catalogue of any bundle. Returns undefined if the file is not a
 * catalogue.
 */
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
