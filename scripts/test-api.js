// Runs all phases of Schemathesis on openapi.yaml against a server with a library:
// `npm run test:api`.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pythonVenv, ROOT, run, say, setUp } from './setup.js'

const EXAMPLES = '40' // per operation
const CLI = join(ROOT, 'dist', 'src', 'cli', 'main.js')
const LIBRARY = ['guitar_cc0.mp4', 'photo_dog.webp', 'sound_perc_bell.opus', 'odd_no_audio.mp4']

setUp()
const venv = join(ROOT, '.cache', 'test-api')
pythonVenv(venv, 'scripts/test-api-requirements.txt')

const dir = mkdtempSync(join(tmpdir(), 'earshot-test-api-'))
const root = join(dir, 'root')
mkdirSync(root)
for (const name of LIBRARY) copyFileSync(join(ROOT, 'test', 'fixtures', name), join(root, name))
const env = {
  ...process.env,
  EARSHOT_DATA: join(dir, 'data'),
  EARSHOT_ROOTS: root,
  EARSHOT_BUNDLE: join(ROOT, 'test', 'fixtures', 'tiny-cavmae'),
  EARSHOT_LOG: 'error',
}
run(process.execPath, [CLI, 'index', root], { env })
const server = spawn(process.execPath, [CLI, 'serve', '--port', '0', '--json'], {
  env,
  stdio: ['ignore', 'pipe', 'inherit'],
})
const [line] = await once(createInterface(server.stdout), 'line')
const { url } = JSON.parse(line)

say(`Schemathesis against ${url}`)
const schemathesis = join(venv, 'bin', 'schemathesis')
const { status } = spawnSync(
  schemathesis,
  [
    ...['--config-file', join(ROOT, 'scripts', 'schemathesis.toml')],
    'run',
    join(ROOT, 'openapi.yaml'),
    ...['--url', url, '--max-examples', EXAMPLES, '--workers', '1'],
    ...[
      '--phases',
      'examples,coverage,fuzzing,stateful',
      '--generation-deterministic',
      '--no-color',
    ],
    ...['--request-timeout', '60', '--suppress-health-check', 'all', '--warnings', 'off'],
  ],
  { stdio: ['ignore', 'inherit', 'inherit'], cwd: dir },
)
const alive = (await fetch(`${url}/readyz`)).ok
server.kill('SIGTERM')
const [code] = await once(server, 'exit')
rmSync(dir, { recursive: true, force: true })
const passed = status === 0 && alive && code === 0
console.log(`\n${passed ? 1 : 0} passed, ${passed ? 0 : 1} failed: openapi.yaml against a server`)
process.exitCode = passed ? 0 : 1
