// Prepares the project for demo, test and dev. Uses plain Node without packages.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('..', import.meta.url))
const TRAINING = join(ROOT, 'training')
const VENV = join(TRAINING, '.venv')
export const PYTHON = join(VENV, 'bin', 'python')

/** Runs a command in the project folder and shows its output. Ends the process if it fails. */
export function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, {
    cwd: ROOT,
    stdio: ['ignore', 'inherit', 'inherit'],
    ...options,
  })
  if (error) stop(`${command} cannot be run: ${error.message}`)
  if (status !== 0) stop(`${[command, ...args].join(' ')} ended with ${status}`)
}

export function stop(message) {
  console.error(message)
  process.exit(1)
}

/** Installs Node packages and ffmpeg, and compiles the code. Skips each step that is complete. */
export function setUp() {
  const major = Number(process.versions.node.split('.')[0])
  if (major < 20) stop(`Earshot needs Node 20 or newer, this is ${process.version}.`)
  installPackages()
  ensure(FFMPEG)
  build()
}

export function build() {
  run(join(ROOT, 'node_modules', '.bin', 'tsc'), [])
}

function installPackages() {
  once('package-lock.json', join(ROOT, 'node_modules'), () => {
    ensure(COMPILER)
    say('Installing packages; two of them are compiled, which takes a few minutes …')
    // This prevents the download of CUDA files, which the CPU provider does not need (docs/gpu.md).
    const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip', ...compilation() }
    run('npm', ['ci', '--no-audit', '--no-fund'], { env })
  })
}

/** Returns the settings that compile better-sqlite3 for Node 24. object-wrap.h gives the reason. */
function compilation() {
  if (process.versions.node.split('.')[0] !== '24') return {}
  const include = `-include "${join(ROOT, 'scripts', 'object-wrap.h')}"`
  return {
    CXXFLAGS: `${process.env.CXXFLAGS ?? ''} ${include}`.trim(),
    npm_config_build_from_source: 'better-sqlite3',
  }
}

/** Creates the virtual environment of training/ with its packages. */
export function setUpTraining() {
  pythonVenv(VENV, 'training/requirements.txt', 'PyTorch among them: some 3 GB to download')
}

/** Creates a virtual environment with the packages of a requirements file. Returns its Python. */
export function pythonVenv(folder, requirements, remark) {
  const found = ['python3.13', 'python3.12', 'python3.11', 'python3'].find((name) =>
    works(name, ['-c', PYTHON_CHECK]),
  )
  if (!found)
    stop(
      'Python 3.11 or newer with the venv module is needed (Debian: apt-get install python3-venv).',
    )
  const python = join(folder, 'bin', 'python')
  once(requirements, folder, () => {
    say(`Installing the packages of ${requirements}${remark ? ` (${remark})` : ''} …`)
    run(found, ['-m', 'venv', folder])
    run(python, ['-m', 'pip', 'install', '--quiet', 'uv'])
    run(python, ['-m', 'uv', 'pip', 'install', '--quiet', '--python', python, '-r', requirements])
  })
  return python
}

const PYTHON_CHECK = 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'

/** Runs work for a file once per content of the file. Stores a mark in the folder of the result. */
function once(file, folder, work) {
  const mark = join(folder, '.earshot-installed')
  const wanted = createHash('sha256')
    .update(readFileSync(join(ROOT, file)))
    .digest('hex')
  if (existsSync(mark) && readFileSync(mark, 'utf8') === wanted) return
  work()
  mkdirSync(folder, { recursive: true })
  writeFileSync(mark, wanted)
}

const INSTALL = {
  'apt-get': (packages) =>
    `apt-get update && apt-get install -y --no-install-recommends ${packages}`,
  apk: (packages) => `apk add ${packages}`,
  dnf: (packages) => `dnf install -y ${packages}`,
  pacman: (packages) => `pacman -S --noconfirm ${packages}`,
  brew: (packages) => `brew install ${packages}`,
}

const FFMPEG = {
  what: 'ffmpeg 5 or newer',
  programs: ['ffmpeg', 'ffprobe'],
  packages: {
    'apt-get': 'ffmpeg',
    apk: 'ffmpeg',
    dnf: 'ffmpeg-free',
    pacman: 'ffmpeg',
    brew: 'ffmpeg',
  },
}

const COMPILER = {
  what: 'make and a C++ compiler, for the packages that are compiled',
  programs: ['make', 'c++'],
  packages: {
    'apt-get': 'make g++',
    apk: 'make g++',
    dnf: 'make gcc-c++',
    pacman: 'make gcc',
    brew: 'gcc make',
  },
}

/** Installs missing programs with the package manager of the system, or prints the command. */
function ensure({ what, programs, packages }) {
  if (
    programs.every((program) =>
      works(program, [program.startsWith('ff') ? '-version' : '--version']),
    )
  )
    return
  const manager = Object.keys(INSTALL).find((name) => works(name, ['--version']))
  const command = manager && INSTALL[manager](packages[manager])
  const may = manager === 'brew' || (manager && process.getuid?.() === 0)
  if (!may)
    stop(
      `Earshot needs ${what}. Install it and start again` +
        (command ? `: sudo sh -c '${command}'` : ''),
    )
  say(`Installing ${what}: ${command}`)
  run('sh', ['-c', command], { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } })
}

function works(command, args) {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}

export function say(line) {
  console.error(`\n${line}`)
}
