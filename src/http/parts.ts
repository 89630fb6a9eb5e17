import type { App } from '../app.js'

/** What a route may ask for. */
export interface HttpParts {
  readonly app: Pick<App, 'config' | 'run'> // by `run` alone: a change of model closes what serves once its work is done
  readonly uploadDir: string // temporary files
  readonly mediaDir: string // files that were uploaded into the library
  readonly thumbnailDir: string
}
