import { readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { Option } from 'commander'
import { PACKAGE_DIR, readConfig } from '../config.js'
import { text } from './options.js'
import { printableJson } from './printable.js'

/** Returns the option for the data folder. */
export const dataOption = (): Option =>
  new Option('--data <folder>', 'folder of the library')
    .argParser(text)
    .env('EARSHOT_DATA')
    .default(relative('', readConfig({}).library.dataDir))

/** Returns what `earshot --version` prints. */
export function versionText(json: boolean): string {
  const { version } = JSON.parse(readFileSync(join(PACKAGE_DIR, 'package.json'), 'utf8'))
  return json ? printableJson({ version }) : `earshot ${version}`
}
