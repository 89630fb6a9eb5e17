import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { OpenedFile } from '../../src/storage/opened-file.js'
import { temporaryDir } from '../workplace.js'

describe('an opened file', () => {
  it('is read, hashed and streamed from one descriptor after a replacement', async (test) => {
    const dir = await temporaryDir(test)
    const path = join(dir, 'file')
    const content = Buffer.from('0123456789')
    await writeFile(path, content)
    await using file = await OpenedFile.open(path)

    await rm(path)
    await writeFile(path, 'another content')

    assert.equal(String(await file.read(4, 3)), '3456')
    assert.equal(String(await file.read(100, 8)), '89')
    assert.equal(await file.contentHash(), createHash('sha256').update(content).digest('hex'))
    assert.equal(String(await buffer(file.stream({ start: 2, end: 4 }))), '234')
    if (process.platform === 'linux')
      assert.deepEqual(await readFile(file.pathForChildren), content)
  })

  it('has the quick hash of its size, head, middle and tail', async (test) => {
    const dir = await temporaryDir(test)
    const big = Buffer.alloc(1_000_000, 1)
    const hashes = new Set<string>()
    for (const at of [0, 500_000, 999_999, 250_000]) {
      const content = Buffer.from(big)
      content[at] = 2
      await writeFile(join(dir, 'file'), content)
      await using file = await OpenedFile.open(join(dir, 'file'))
      hashes.add(await file.quickHash())
    }

    assert.equal(hashes.size, 4) // the last file equals the untouched file
  })

  it('is no folder, pipe, socket or device, and never waits for one', async (test) => {
    const dir = await temporaryDir(test)
    execFileSync('mkfifo', [join(dir, 'pipe')])
    const socket = createServer().listen(join(dir, 'socket'))
    test.after(() => socket.close())
    await new Promise((resolve) => socket.once('listening', resolve))
    await symlink(join(dir, 'pipe'), join(dir, 'link'))

    for (const path of [
      dir,
      join(dir, 'pipe'),
      join(dir, 'socket'),
      join(dir, 'link'),
      '/dev/zero',
    ]) {
      await assert.rejects(OpenedFile.open(path), { code: 'FILE_UNREADABLE' }, path)
    }
    await assert.rejects(OpenedFile.open(join(dir, 'nothing')), { code: 'FILE_NOT_FOUND' })
  })

  it('leaves no descriptor open when it is refused', async (test) => {
    const dir = await temporaryDir(test)
    await writeFile(join(dir, 'file'), 'x')
    const before = readdirSync('/proc/self/fd').length

    for (let i = 0; i < 20; i++) {
      await assert.rejects(OpenedFile.open(join(dir, 'file'), { within: [join(dir, 'other')] }))
    }

    assert.equal(readdirSync('/proc/self/fd').length, before)
  })
})

describe('a file that must be inside a folder', () => {
  it('is refused if a link leads out of it, in its name or in a folder above', async (test) => {
    const dir = await temporaryDir(test)
    const [root, outside] = [join(dir, 'root'), join(dir, 'outside')]
    await mkdir(join(root, 'folder'), { recursive: true })
    await mkdir(outside)
    for (const path of [join(root, 'folder', 'file'), join(outside, 'file')]) {
      await writeFile(path, 'x')
    }
    const open = async (path: string) => {
      await using file = await OpenedFile.open(path, { within: [root] })
      return file.realPath
    }

    assert.equal(await open(join(root, 'folder', 'file')), join(root, 'folder', 'file'))
    await rename(join(root, 'folder'), join(root, 'before'))
    await symlink(outside, join(root, 'folder'))
    await symlink(join(outside, 'file'), join(root, 'link'))
    await symlink(join(root, 'before', 'file'), join(root, 'inner'))

    await assert.rejects(open(join(root, 'folder', 'file')), { code: 'PATH_NOT_ALLOWED' })
    await assert.rejects(open(join(root, 'link')), { code: 'PATH_NOT_ALLOWED' })
    await assert.rejects(open(`${root}/../outside/file`), { code: 'PATH_NOT_ALLOWED' })
    assert.equal(await open(join(root, 'inner')), join(root, 'before', 'file'))
  })
})
