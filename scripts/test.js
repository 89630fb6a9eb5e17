// All tests, TypeScript and Python, with their counts: `npm test`. `npm test -- node` or `-- python` runs one half.
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { PYTHON, ROOT, say, setUp, setUpTraining } from './setup.js'

const only = process.argv[2]
const TIMEOUT_MS = 600_000 // of a test file: the 100 kills of crash.test take about 3 minutes
const SLOWEST = 10 // tests that are listed at the end
const total = { passed: 0, failed: 0, skipped: 0 }

if (only !== 'python') {
  setUp()
  const tests = readdirSync(join(ROOT, 'dist/test'), { recursive: true }).filter((file) =>
    file.endsWith('.test.js'),
  )
  const files = tests.map((file) => join('dist/test', file))
  say(`TypeScript: ${files.length} files`)
  const { text, code } = await show(process.execPath, [
    '--enable-source-maps',
    '--test',
    '--test-force-exit',
    `--test-timeout=${TIMEOUT_MS}`,
    '--test-reporter=spec',
    ...files,
  ])
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

/** Runs a test runner, showing its output as it comes and keeping it. */
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

/** Returns lines of the spec reporter, those of the longest tests first. */
function slowest(text) {
  const lines = [...text.matchAll(/^\s*[✔✖] (.*) \((\d+(?:\.\d+)?)ms\)$/gm)]
  const tests = lines.map(([, name, ms]) => ({ name, seconds: Number(ms) / 1000 }))
  tests.sort((a, b) => b.seconds - a.seconds)
  return tests
    .slice(0, SLOWEST)
    .map(({ name, seconds }) => `${seconds.toFixed(1).padStart(7)} s  ${name}`)
}

/** A runner that failed without counting a failure, or that ran nothing, has failed all the same. */
function add(counts, code) {
  for (const word of Object.keys(total)) total[word] += counts[word]
  if (counts.failed === 0 && (code !== 0 || counts.passed === 0)) total.failed++
}
