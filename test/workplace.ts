import { readdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type App, openApp } from '../src/app.js'
import { type Config, PACKAGE_DIR, readConfig } from '../src/config.js'

export const FIXTURES = join(PACKAGE_DIR, 'test', 'fixtures')
export const fixture = (name: string) => join(FIXTURES, name)

/** Lists the bundles of the repository by name. */
export const SHIPPED = readdirSync(join(PACKAGE_DIR, 'models'))

/** Creates a folder for a test. After the test, runs `last` and removes the folder. */
export async function temporaryDir(
  test: Pick<TestContext, 'after'>,
  last?: () => Promise<void>,
): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'earshot-test-'))
  test.after(async () => {
    await last?.()
    await rm(dir, { recursive: true, force: true })
  })
  return dir
}

export function testConfig(dataDir: string, settings: Record<string, string> = {}): Config {
  return readConfig({
    EARSHOT_DATA: dataDir,
    EARSHOT_PROVIDERS: 'cpu',
    EARSHOT_LOG: 'silent',
    ...settings,
  })
}

/** Opens the app with the starter bundle and an empty library. */
export async function temporaryApp(
  test: Pick<TestContext, 'after'>,
  settings?: Record<string, string>,
): Promise<App> {
  let app: App | null = null
  // The app writes into the folder until it is closed.
  const dir = await temporaryDir(test, async () => app?.[Symbol.asyncDispose]())
  app = await openApp(testConfig(dir, settings))
  return app
}
