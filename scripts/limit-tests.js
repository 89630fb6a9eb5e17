// Limits the duration of a test. scripts/test.js loads it before each test file, because Node 20
// limits only files. A test that exceeds EARSHOT_TEST_MS ends its file with the name of the test.
import { writeSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'

const LIMIT_MS = Number(process.env.EARSHOT_TEST_MS)
const STDERR = 2

// The limit does not apply to the runner, or to workers and processes that a test starts.
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
