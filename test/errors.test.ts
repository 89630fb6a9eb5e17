import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { parse } from 'yaml'
import { PACKAGE_DIR } from '../src/config.js'
import { ERROR_TITLES } from '../src/errors.js'
import { STATUS } from '../src/http/problems.js'

const codes = Object.keys(ERROR_TITLES).sort()
const read = (file: string) => readFileSync(join(PACKAGE_DIR, file), 'utf8')

it('gives every code a status', () => {
  assert.deepEqual(Object.keys(STATUS).sort(), codes)
})

it('explains every code in docs/errors.md, and no other', () => {
  const explained = [...read('docs/errors.md').matchAll(/^- `([A-Z_]+)`/gm)].map(([, code]) => code)

  assert.deepEqual(explained.sort(), codes)
})

it('names every code in openapi.yaml, and no other', () => {
  const { components } = parse(read('openapi.yaml'))

  assert.deepEqual([...components.schemas.Problem.properties.code.enum].sort(), codes)
})
