/** The words of Earshot as types; docs/architecture.md says what each means. */
export type Modality = 'audio' | 'visual'

export const MODALITIES: readonly Modality[] = ['audio', 'visual']

export const otherModality = (modality: Modality): Modality =>
  modality === 'audio' ? 'visual' : 'audio'
