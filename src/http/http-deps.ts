import type { App } from '../app.js'
import type { UploadStore } from '../ingest/uploads.js'
import type { UploadReceiver } from './upload.js'

/** Lists the objects that routes use. */
export interface HttpDeps {
  /** Provides the gallery and encoder in `run` only. A change of bundle closes them afterwards. */
  readonly app: Pick<App, 'config' | 'run' | 'decoders' | 'servedFolders'>
  readonly receiver: UploadReceiver
  readonly uploads: UploadStore
  readonly thumbnailDir: string
  /** Returns whether the server prepares to stop. It is then unready and still accepts requests. */
  isDraining(): boolean
}
