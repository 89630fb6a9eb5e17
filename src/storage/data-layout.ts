import { join } from 'node:path'

/** Where a library keeps what in its data folder. */
export interface DataLayout {
  readonly dir: string
  readonly media: string // uploaded files
  readonly thumbnails: string
  readonly uploads: string // of files that are being received
  readonly sources: string // the list of indexed folders
  readonly galleries: string // further galleries, each in a folder
  readonly galleriesFile: string // which of them serves
}

export function dataLayout(dir: string): DataLayout {
  return {
    dir,
    media: join(dir, 'media'),
    thumbnails: join(dir, 'thumbnails'),
    uploads: join(dir, 'uploads'),
    sources: join(dir, 'sources.json'),
    galleries: join(dir, 'galleries'),
    galleriesFile: join(dir, 'galleries.json'),
  }
}
