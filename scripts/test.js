// Runs all TypeScript and Python tests and prints their counts: `npm test`. `npm test -- node` and
// `npm test -- python` run one half. `npm test -- node 'dist/test/http/*.test.js'` runs the files
// that match a pattern.
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { PYTHON, ROOT, say, setUp, setUpTraining, stop } from './setup.js'

const [only, ...patterns] = process.argv.slice(2)
const TEST_MS = Number(process.env.EARSHOT_TEST_MS ?? 240_000)
/** --test-timeout limits files only. limit-tests.js limits tests. */
const FILE_MS = Math.max(600_000, TEST_MS)
const SLOWEST = 10 // tests to list at the end
const total = { passed: 0, failed: 0, skipped: 0 }

if (only !== 'python') {
  setUp()
  const files = testFiles()
  say(`TypeScript: ${files.length} files`)
  const options = [
    '--enable-source-maps',
    '--test',
    '--test-force-exit',
    `--test-timeout=${FILE_MS}`,
    '--test-reporter=spec',
    ...['--import', new URL('limit-tests.js', import.meta.url).href],
  ]
  const env = { ...process.env, EARSHOT_TEST_MS: String(TEST_MS) }
  const { text, code } = await show(process.execPath, [...options, ...files], { env })
  const count = (word) => Number(text.match(new RegExp(`^ℹ ${word} (\\d+)`, 'm'))?.[1] ?? 0)
  add(
    {
      passed: count('pass'),
      failed: count('fail') + count('cancelled'),
      skipped: count('skipped'),
    },
    code,
  )
  say(`The ${SLOWEST} slowest tests:\n${slowest(text).join('\n')}`)
}

if (only !== 'node') {
  setUpTraining()
  say('Python: training/')
  const { text, code } = await show(PYTHON, ['-m', 'pytest', '-rs'], {
    cwd: join(ROOT, 'training'),
  })
  const count = (word) => Number(text.match(new RegExp(`(\\d+) ${word}`))?.[1] ?? 0)
  add(
    {
      passed: count('passed'),
      failed: count('failed') + count('error'),
      skipped: count('skipped'),
    },
    code,
  )
}

console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`)
process.exitCode = total.failed > 0 ? 1 : 0

/** Returns the test files that match a pattern, by default all. */
function testFiles() {
  const all = readdirSync(join(ROOT, 'dist/test'), { recursive: true })
    .filter((file) => file.endsWith('.test.js'))
    .map((file) => join('dist/test', file))
  if (patterns.length === 0) return all
  const wanted = patterns.map((pattern) =>
    pattern
      .split('*')
      .map((text) => text.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
      .join('[^/]*'),
  )
  const files = all.filter((file) =>
    wanted.some((pattern) => new RegExp(`^${pattern}$`).test(file)),
  )
  if (files.length === 0) stop(`No test file matches ${patterns.join(' ')}`)
  return files
}

/** Runs a test runner. Shows its output and returns it. */
function show(command, args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'inherit'],
      ...options,
    })
    let text = ''
    child.stdout.on('data', (chunk) => {
      text += chunk
      process.stdout.write(chunk)
    })
    child.on('error', reject)
    child.on('close', (code) => resolve({ text, code }))
  })
}

/** Returns the lines of the spec reporter for the longest tests. Ignores suites. */
function slowest(text) {
  const [once] = text.split('✖ failing tests:') // the summary repeats the failed tests
  const suites = new Set([...once.matchAll(/^\s*▶ (.*)$/gm)].map(([, name]) => name))
  const lines = [...once.matchAll(/^\s*[✔✖] (.*) \((\d+(?:\.\d+)?)ms\)$/gm)]
  const tests = lines
    .map(([, name, ms]) => ({ name, seconds: Number(ms) / 1000 }))
    .filter(({ name }) => !suites.has(name))
  tests.sort((a, b) => b.seconds - a.seconds)
  return tests
    .slice(0, SLOWEST)
    .map(({ name, seconds }) => `${seconds.toFixed(1).padStart(7)} s  ${name}`)
}

/** Adds counts to the total. Counts a failure if the runner failed without one, or ran no test. */
function add(counts, code) {
  for (const word of Object.keys(total)) total[word] += counts[word]
  if (counts.failed === 0 && (code !== 0 || counts.passed === 0)) total.failed++
}
