import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { PACKAGE_DIR } from '../../src/config.js'
import type { CatalogueHeader } from '../../src/gallery/catalogue/catalogue.js'
import { SqliteCatalogue } from '../../src/gallery/sqlite/sqlite-catalogue.js'

export const MIGRATIONS_DIR = join(PACKAGE_DIR, 'migrations', 'sqlite')

const dirs: string[] = []
after(() => {
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true })
})

/** Creates a folder that exists until the tests of the file end. */
export function newDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'earshot-gallery-'))
  dirs.push(dir)
  return dir
}

export function openCatalogue(dir: string, stamp: CatalogueHeader): Promise<SqliteCatalogue> {
  return SqliteCatalogue.open({
    file: join(dir, 'catalogue.db'),
    migrationsDir: MIGRATIONS_DIR,
    header: stamp,
  })
}
