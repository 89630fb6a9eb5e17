/** One half of a clip: its sound or its picture. docs/architecture.md defines the terms. */
export type Modality = 'audio' | 'visual'

/** All modalities. */
export const MODALITIES: readonly Modality[] = ['audio', 'visual']

/** Returns the other modality. */
export const otherModality = (modality: Modality): Modality =>
  modality === 'audio' ? 'visual' : 'audio'
