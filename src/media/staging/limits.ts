/** Limits of decoding. */
export const MEDIA_LIMITS = Object.freeze({
  clipSeconds: 24 * 3600,
  pictureSidePixels: 16, // the smallest
  animationPixels: 2 ** 30, // pixels x frames of an animated WebP
  stallMs: 30_000, // ffmpeg without a byte of progress
  probeMs: 20_000, // of one ffprobe
  decoderBytes: 512 * 1024 ** 2, // memory of one ffmpeg or ffprobe
  largeDecoderBytes: 3 * 1024 ** 3, // at most, of one that decodes a large picture or video
  queryCpuSeconds: 300, // of one ffmpeg that decodes a query
  waitingQueries: 16, // for a decoder; a further one is refused
  queryWaitMs: 10_000, // for a decoder
})
