import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { appendFile, chmod, mkdir, symlink } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { it, type TestContext } from 'node:test'
import { type ScannedFile, type ScanOptions, scan } from '../../src/ingest/scan/scan.js'
import { temporaryDir } from '../workplace.js'

/** Creates a folder with empty files. */
async function tree(test: TestContext, ...files: string[]): Promise<string> {
  const dir = await temporaryDir(test)
  for (const file of files) {
    await mkdir(join(dir, file, '..'), { recursive: true })
    await appendFile(join(dir, file), '')
  }
  return dir
}

interface Seen {
  readonly files: readonly ScannedFile[]
  readonly names: readonly string[] // relative to the folder
  readonly warnings: readonly string[]
}

async function scanned(
  dir: string,
  options: Partial<ScanOptions> = {},
  sources = [dir],
): Promise<Seen> {
  const warnings: string[] = []
  const files: ScannedFile[] = []
  for await (const file of scan(sources, {
    ...options,
    onWarning: (detail) => warnings.push(detail),
  }))
    files.push(file)
  return { files, names: files.map(({ path }) => path.slice(dir.length + 1)), warnings }
}

it('finds media by name in folders, in depth, and follows no link into a folder', async (test) => {
  const dir = await tree(
    test,
    'b.MP4',
    'a.wav',
    'notes.txt',
    '._a.wav',
    'deep/er/c.jpg',
    'library/own.mp4',
  )
  await symlink(dir, join(dir, 'deep', 'circle'))
  await symlink(join(dir, 'a.wav'), join(dir, 'deep', 'link.wav'))

  const { names, warnings } = await scanned(dir, { except: [join(dir, 'library')] })

  assert.deepEqual(names, ['a.wav', 'b.MP4', 'deep/er/c.jpg'])
  assert.deepEqual(warnings, [])
})

it('follows links into folders on request, and never in circles', async (test) => {
  const dir = await tree(test, 'a/x.wav', 'b/y.wav')
  await symlink(dir, join(dir, 'a', 'up'))
  await symlink(join(dir, 'a'), join(dir, 'b', 'a-again'))
  await symlink(join(dir, 'b'), join(dir, 'b', 'self'))

  const { names } = await scanned(dir, { followLinks: true })

  assert.deepEqual(names.map((name) => name.split('/').at(-1)).sort(), ['x.wav', 'y.wav'])
})

it('lets no link lead out of the roots', async (test) => {
  const outside = await tree(test, 'secret.wav')
  const dir = await tree(test, 'a.wav')
  await symlink(outside, join(dir, 'folder'))
  await symlink(join(outside, 'secret.wav'), join(dir, 'file.wav'))

  const { names, warnings } = await scanned(dir, { followLinks: true, within: [dir] })

  assert.deepEqual(names, ['a.wav'])
  assert.equal(warnings.length, 2)
})

it('warns of a link that leads nowhere', async (test) => {
  const dir = await tree(test, 'a.wav')
  await symlink(join(dir, 'gone.wav'), join(dir, 'link.wav'))

  const { names, warnings } = await scanned(dir)

  assert.deepEqual(names, ['a.wav'])
  assert.match(warnings.join(), /link\.wav is passed over/)
})

it('takes and leaves what globs say', async (test) => {
  const dir = await tree(
    test,
    'a.wav',
    'b.dat',
    'sub/c.wav',
    'sub/d.mp4',
    'drafts/e.wav',
    'sub/drafts/f.wav',
  )
  const names = async (options: Partial<ScanOptions>) => (await scanned(dir, options)).names

  assert.deepEqual(await names({ ignore: ['drafts'] }), ['a.wav', 'sub/c.wav', 'sub/d.mp4'])
  assert.deepEqual(await names({ ignore: ['drafts/**', '*.mp4'] }), [
    'a.wav',
    'sub/c.wav',
    'sub/drafts/f.wav',
  ])
  assert.deepEqual(await names({ include: ['*.dat'] }), ['b.dat'])
  assert.deepEqual(await names({ include: ['sub/*.wav', '*.dat'] }), ['b.dat', 'sub/c.wav'])
})

it('takes an explicit file with any name, even a missing one', async (test) => {
  const dir = await tree(test, 'a.dat')

  const { files } = await scanned(dir, {}, [join(dir, 'a.dat'), join(dir, 'gone.wav')])

  assert.deepEqual(
    files.map(({ isNamed }) => isNamed),
    [true, true],
  )
})

it('finds names of any kind, those that are no UTF-8 too', async (test) => {
  const dir = await tree(test, 'käse\n"%20".wav', '日本語/音.wav', 'ends\\.wav', 'like\\xe9.wav')
  const at = (...parts: (string | number)[]) =>
    Buffer.concat(
      [`${dir}/`, ...parts].map((part) =>
        typeof part === 'string' ? Buffer.from(part) : Buffer.of(part),
      ),
    )
  await appendFile(at('käse', 0xe9, '.wav'), '')
  await mkdir(at(0xff, 0xfe))
  await appendFile(at(0xff, 0xfe, '/in.wav'), '')

  const { names } = await scanned(dir)

  const odd = ['käse\\xe9.wav', '\\xff\\xfe/in.wav', 'like\\x5cxe9.wav']
  assert.deepEqual(
    new Set(names),
    new Set([...odd, 'käse\n"%20".wav', '日本語/音.wav', 'ends\\.wav']),
  )
  assert.deepEqual((await scanned(dir, {}, [join(dir, '\\xff\\xfe')])).names, ['\\xff\\xfe/in.wav'])
})

it('ignores pipes, sockets and folders with names of media, and does not block', async (test) => {
  const dir = await tree(test, 'a.wav', 'folder.mp4/b.wav')
  execFileSync('mkfifo', [join(dir, 'pipe.wav')])
  await symlink(join(dir, 'pipe.wav'), join(dir, 'link-to-pipe.wav'))
  const server = createServer().listen(join(dir, 'socket.wav'))
  test.after(() => server.close())

  const { names, warnings } = await scanned(dir)

  assert.deepEqual(names, ['a.wav', 'folder.mp4/b.wav'])
  assert.deepEqual(warnings, [])
})

it('warns of a folder that it cannot read, and continues', async (test) => {
  const dir = await tree(test, 'secret/a.wav', 'z.wav')
  await chmod(dir, 0o755)
  await chmod(join(dir, 'secret'), 0)

  const { names, warnings } = await asOrdinaryUser(() => scanned(dir))

  assert.deepEqual(names, ['z.wav'])
  assert.match(warnings.join(), /secret/)
})

/** Runs work as the user nobody, because root can read every folder. */
async function asOrdinaryUser<T>(work: () => Promise<T>): Promise<T> {
  const { seteuid } = process
  if (process.geteuid?.() !== 0 || !seteuid) return work()
  seteuid('nobody')
  try {
    return await work()
  } finally {
    seteuid(0)
  }
}
