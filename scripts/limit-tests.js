// Loaded before each test file (scripts/test.js). Node 20 limits only files: a single test that runs for longer than
// EARSHOT_TEST_MS ends its file here, with the test's name.
import { writeSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'

const LIMIT_MS = Number(process.env.EARSHOT_TEST_MS)
const STDERR = 2

// Not in the runner, nor in the workers and processes that a test starts.
if (LIMIT_MS > 0 && isMainThread && process.argv[1]?.endsWith('.test.js')) {
  const { afterEach, beforeEach } = await import('node:test')
  const clocks = new Map()
  beforeEach(({ name }) => {
    clocks.set(
      name,
      setTimeout(() => end(name), LIMIT_MS),
    )
  })
  afterEach(({ name }) => {
    clearTimeout(clocks.get(name))
    clocks.delete(name)
  })
}

function end(name) {
  const seconds = LIMIT_MS / 1000
  writeSync(STDERR, `\n✖ ${process.argv[1]}: "${name}" ran for more than ${seconds} s\n`)
  process.exit(1)
}
