import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Database } from 'better-sqlite3'
import { AppError } from '../../errors.js'

/**
 * Migrates the catalogue to the newest schema in one transaction. `user_version` is the number of
 * the last migration. Throws CATALOGUE_NEWER.
 */
export function migrate(db: Database, migrationsDir: string): void {
  const migrations = readMigrations(migrationsDir)
  const newest = migrations.at(-1)?.version ?? 0
  if (versionOf(db) === newest) return
  db.transaction(() => {
    const version = versionOf(db) // another process can have migrated it
    if (version > newest) {
      throw new AppError(
        'CATALOGUE_NEWER',
        `Expected a catalogue of version ${newest} at most, got version ${version}. ` +
          'Update Earshot, or use another data folder.',
      )
    }
    for (const migration of migrations.filter((each) => each.version > version)) {
      db.exec(migration.sql)
      db.pragma(`user_version = ${migration.version}`)
    }
  }).immediate()
}

/** Returns the migrations in order. Each file has a name like `NNN-topic.sql`. */
function readMigrations(dir: string): { version: number; sql: string }[] {
  return readdirSync(dir)
    .filter((name) => /^\d{3}-.+\.sql$/.test(name))
    .sort()
    .map((name) => ({
      version: Number(name.slice(0, 3)),
      sql: readFileSync(join(dir, name), 'utf8'),
    }))
}

function versionOf(db: Database): number {
  return db.pragma('user_version', { simple: true }) as number
}
