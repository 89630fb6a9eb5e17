// Sets up a fresh clone, indexes a demo library and serves it: `npm run demo`. With `-- --once`,
// the demo ends instead of serving.
import { spawn, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT, run, say, setUp, stop } from './setup.js'

const DEMO = join(ROOT, '.earshot', 'demo')
const LIBRARY = join(DEMO, 'library')
const FIXTURES = join(ROOT, 'test', 'fixtures')
const CLI = join(ROOT, 'dist', 'src', 'cli', 'main.js')
const env = { ...process.env, EARSHOT_DATA: join(DEMO, 'data'), EARSHOT_ROOTS: LIBRARY }

setUp()
makeLibrary()
say(`Indexing ${LIBRARY}`)
const report = earshot('index', LIBRARY)
console.log(
  `${report.indexed} indexed, ${report.unchanged} unchanged, ` +
    `${report.failed.length} failed in ${report.seconds} s`,
)

ask('A guitar is heard. What is seen?', 'sound_guit_e_slide.opus', 'visual')
ask('Drummers are seen. What is heard?', 'drums_africa_pd_photo_tabla_cc0.mp4', 'audio')
tag('What is heard in a drum roll?', 'drumroll_cc0.mp4')

if (!process.argv.includes('--once')) {
  say('Serving the demo library; Ctrl-C stops it.')
  console.error('Try: curl -F file=@some.wav localhost:7411/v1/search')
  const server = spawn(process.execPath, [CLI, 'serve'], { env, stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => server.kill(signal))
  server.on('exit', (code) => process.exit(code ?? 1))
}

/** Copies the whole fixtures, and creates a few clips from the test sources of ffmpeg. */
function makeLibrary() {
  mkdirSync(LIBRARY, { recursive: true })
  const whole = readdirSync(FIXTURES).filter(
    (name) => /\.(mp4|webp|opus|webm)$/.test(name) && !/^(bad|odd)_/.test(name),
  )
  for (const name of whole) put(name, (target) => copyFileSync(join(FIXTURES, name), target))
  const photo = (name) => [
    '-loop',
    '1',
    '-t',
    '6',
    '-i',
    join(FIXTURES, name),
    '-vf',
    'scale=320:240,fps=10',
  ]
  const sources = {
    'owl_no_sound.mp4': photo('photo_owl.webp'),
    'dog_no_sound.mp4': photo('photo_dog.webp'),
    'siren.wav': [
      '-f',
      'lavfi',
      '-i',
      'aevalsrc=0.4*sin(2*PI*(900*t-250*cos(PI*t)/PI)):d=8:s=32000',
    ],
    'rain_like_noise.wav': ['-f', 'lavfi', '-i', 'anoisesrc=c=pink:d=8:r=32000:a=0.3'],
    'telephone_tone.wav': [
      '-f',
      'lavfi',
      '-i',
      'aevalsrc=0.2*sin(2*PI*350*t)+0.2*sin(2*PI*440*t):d=6:s=32000',
    ],
  }
  for (const [name, args] of Object.entries(sources)) {
    put(name, (target) =>
      run('ffmpeg', ['-v', 'error', '-nostdin', ...args, '-pix_fmt', 'yuv420p', target]),
    )
  }
}

function put(name, make) {
  const target = join(LIBRARY, name)
  if (!existsSync(target)) make(target)
}

function ask(question, file, to) {
  const { hits, timings } = earshot('search', join(LIBRARY, file), '--to', to, '--limit', '5')
  say(`${question}  (earshot search ${file} --to ${to})`)
  console.table(
    hits.map(({ score, clip, moments }) => ({
      score: round(score),
      clip: name(clip.path),
      from: moments[0].start,
      to: moments[0].end,
    })),
  )
  console.log(
    `decode ${timings.decodeMs} ms, encode ${timings.encodeMs} ms, search ${timings.searchMs} ms`,
  )
}

function tag(question, file) {
  const { labels } = earshot('tag', join(LIBRARY, file), '--limit', '5')
  say(`${question}  (earshot tag ${file})`)
  console.table(
    labels.map(({ name, probability }) => ({ label: name, probability: round(probability) })),
  )
}

/** Runs a command of the CLI and returns its JSON. The exit status must be 0 or 2 (partial). */
function earshot(...args) {
  const { status, stdout } = spawnSync(process.execPath, [CLI, ...args, '--json'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (status !== 0 && status !== 2) stop(`earshot ${args.join(' ')} ended with ${status}`)
  return JSON.parse(stdout)
}

function round(number) {
  return Math.round(number * 1000) / 1000
}

function name(path) {
  return path.split('/').at(-1)
}
