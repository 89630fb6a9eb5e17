/**
 * Measures speed as ratios in one run: `npm run bench -- [folder of clips]`. The default folder is
 * test/fixtures. retrieval.ts measures retrieval.
 */
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { PACKAGE_DIR } from '../src/config.js'
import { scan } from '../src/ingest/scan/scan.js'
import { benchEncode } from './encode.js'
import { benchFollowing } from './following.js'
import { benchGallery } from './gallery.js'
import { benchIngest } from './ingest.js'

const WHOLE = /\/(?!bad_|odd_)[^/]+$/ // fixtures that are neither broken nor an hour long

const [folder = join(PACKAGE_DIR, 'test', 'fixtures')] = process.argv.slice(2)
const files: string[] = []
for await (const { path } of scan([folder], { onWarning: console.error }))
  if (WHOLE.test(path)) files.push(path)

console.log(
  `${cpus().length} x ${cpus()[0]?.model}, ${Math.round(totalmem() / 1024 ** 3)} GiB, ` +
    `Node ${process.version}`,
)
await benchEncode()
await benchIngest(files)
await benchGallery()
await benchFollowing()
