import type { App } from '../app.js'
import type { UploadStore } from '../ingest/uploads.js'
import type { UploadReceiver } from './upload.js'

/** What a route may ask for. */
export interface HttpDeps {
  /** The gallery and encoder by `run` alone: a change of model closes them once their work is done. */
  readonly app: Pick<App, 'config' | 'run' | 'decoders' | 'servedFolders'>
  readonly receiver: UploadReceiver
  readonly uploads: UploadStore
  readonly thumbnailDir: string
  /** Whether the server is about to stop: it is unready, and still takes requests. */
  isDraining(): boolean
}
