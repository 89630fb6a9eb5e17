import { join } from 'node:path'
import type { SegmentId } from '../../domain/ids.js'
import { MODALITIES, type Modality } from '../../domain/modality.js'
import type { Change } from '../catalogue/change-log.js'
import type { NearestQuery, Neighbours } from '../vector/vector-index.js'
import { SegmentAttributes } from './attributes/segment-attributes.js'
import { ColumnReader, ColumnWriter } from './column-file.js'
import { Graph } from './graph.js'
import { SegmentTable } from './segment-table.js'

const SEGMENTS = 'segments' // the snapshot file with rows and attributes

type Graphs = Readonly<Record<Modality, Graph>>

/** The content of an index: its segments, a graph of vectors per modality, and attributes. */
export class Contents {
  private constructor(
    readonly graphs: Graphs,
    private readonly segments: SegmentTable,
    private readonly attributes: SegmentAttributes,
  ) {}

  /** Returns contents without segments. */
  static empty(dimension: number): Contents {
    const segments = new SegmentTable()
    const [audio, visual] = [Graph.empty(dimension, segments), Graph.empty(dimension, segments)]
    return new Contents({ audio, visual }, segments, new SegmentAttributes())
  }

  /** Reads contents that `save` wrote. Throws if a file is missing or truncated. */
  static async load(folder: string, dimension: number): Promise<Contents> {
    const reader = await ColumnReader.open(join(folder, SEGMENTS))
    const segments = SegmentTable.load(reader)
    const attributes = SegmentAttributes.load(reader)
    const [audio, visual] = await Promise.all([
      Graph.load(join(folder, 'audio'), dimension, segments),
      Graph.load(join(folder, 'visual'), dimension, segments),
    ])
    return new Contents({ audio, visual }, segments, attributes)
  }

  /** The number of segments of each modality. */
  get sizes(): Readonly<Record<Modality, number>> {
    return { audio: this.graphs.audio.size, visual: this.graphs.visual.size }
  }

  /** Applies one change of the log. */
  apply(change: Change): void {
    if (change.op === 'attributes') {
      this.attributes.setClip(change.clip, change.attributes)
    } else if (change.op === 'put') {
      const row = this.segments.add(change.segment)
      this.graphs[change.modality].put(row, change.vector)
      this.attributes.setSegment(row, change.clip, change.attributes)
    } else {
      this.#drop(change.segment)
    }
  }

  /** Returns the segments nearest to the query. */
  nearest(query: NearestQuery): Pick<Neighbours, 'neighbours' | 'isExhausted'> {
    const { vector, modality, limit, except = [], filter } = query
    const rows = filter && this.attributes.select(filter)
    const excepted = except.flatMap((segment) => this.segments.rowOf(segment) ?? [])
    return this.graphs[modality].nearest(vector, limit, { rows, except: excepted })
  }

  /** Returns whether the segment has a vector of the modality. */
  has(segment: SegmentId, modality: Modality): boolean {
    const row = this.segments.rowOf(segment)
    return row !== undefined && this.graphs[modality].has(row)
  }

  /**
   * Removes the attributes of clips that had no segments at the previous call and have none now.
   */
  forgetUnused(): void {
    this.attributes.forgetUnused()
  }

  /**
   * Writes the snapshot files into the folder. The caller must not apply changes during the write.
   */
  async save(folder: string): Promise<void> {
    for (const modality of MODALITIES) await this.graphs[modality].save(join(folder, modality))
    await using writer = await ColumnWriter.create(join(folder, SEGMENTS))
    await this.segments.save(writer)
    await this.attributes.save(writer)
  }

  #drop(segment: SegmentId): void {
    const row = this.segments.rowOf(segment)
    if (row === undefined) return
    for (const modality of MODALITIES) this.graphs[modality].drop(row)
    this.attributes.dropSegment(row)
    this.segments.remove(segment)
  }
}
