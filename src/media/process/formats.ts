/** A media format and the ffmpeg demuxers that open it. */
interface Format {
  readonly demuxers: string // ffmpeg's names, separated by commas
  readonly extensions: string // of files that a scan reads as this format, separated by spaces
  readonly audio?: string // media type of a file without video
  readonly video?: string // media type of a file with video
}

/**
 * The formats that may be opened. Excluded are formats that open other files or addresses (hls,
 * dash, concat, image2, imf, sdp, …), devices, lavfi, subtitles and raw data without a header.
 * Vector and page formats are excluded too, and TGA, which has no signature. Some names exist only
 * in newer ffmpegs.
 */
const FORMATS: readonly Format[] = [
  {
    demuxers: 'mov,mp4,m4a,3gp,3g2,mj2',
    extensions: 'mp4 m4v mov qt m4a m4b m4r alac 3gp 3gpp 3g2 f4v f4a mj2 heic heif hif avif',
    audio: 'audio/mp4',
    video: 'video/mp4',
  },
  {
    demuxers: 'matroska',
    extensions: 'mkv mka mk3d',
    audio: 'audio/x-matroska',
    video: 'video/x-matroska',
  },
  { demuxers: 'webm', extensions: 'webm weba', audio: 'audio/webm', video: 'video/webm' },
  { demuxers: 'avi', extensions: 'avi divx', video: 'video/x-msvideo' },
  { demuxers: 'flv', extensions: 'flv', video: 'video/x-flv' },
  { demuxers: 'mpegts', extensions: 'ts mts m2ts m2t', audio: 'audio/mp2t', video: 'video/mp2t' },
  { demuxers: 'mpeg', extensions: 'mpg mpeg mpe vob', audio: 'audio/mpeg', video: 'video/mpeg' },
  { demuxers: 'mpegvideo', extensions: 'm1v m2v', video: 'video/mpeg' },
  { demuxers: 'asf', extensions: 'asf wmv wma', audio: 'audio/x-ms-wma', video: 'video/x-ms-wmv' },
  {
    demuxers: 'rm',
    extensions: 'rm rmvb ra',
    audio: 'audio/x-realaudio',
    video: 'video/x-realvideo',
  },
  { demuxers: 'nut', extensions: 'nut', audio: 'audio/x-nut', video: 'video/x-nut' },
  { demuxers: 'mxf', extensions: 'mxf', audio: 'application/mxf', video: 'application/mxf' },
  { demuxers: 'gxf', extensions: 'gxf', video: 'video/x-gxf' },
  {
    demuxers: 'ogg',
    extensions: 'ogg oga ogv ogx opus spx',
    audio: 'audio/ogg',
    video: 'video/ogg',
  },
  { demuxers: 'wtv', extensions: 'wtv', video: 'video/x-wtv' },
  { demuxers: 'dv', extensions: 'dv dif', video: 'video/dv' },
  { demuxers: 'ivf', extensions: 'ivf', video: 'video/x-ivf' },
  { demuxers: 'obu,av1', extensions: 'obu', video: 'video/av1' },
  { demuxers: 'h261', extensions: 'h261', video: 'video/h261' },
  { demuxers: 'h263', extensions: 'h263', video: 'video/h263' },
  { demuxers: 'h264', extensions: 'h264 264', video: 'video/h264' },
  { demuxers: 'hevc', extensions: 'hevc h265 265', video: 'video/h265' },
  { demuxers: 'vvc', extensions: 'vvc h266 266', video: 'video/h266' },
  { demuxers: 'm4v', extensions: '', video: 'video/mp4v-es' },
  { demuxers: 'vc1', extensions: 'vc1', video: 'video/vc1' },
  { demuxers: 'mjpeg', extensions: 'mjpg mjpeg', video: 'video/x-motion-jpeg' },

  { demuxers: 'wav', extensions: 'wav bwf', audio: 'audio/wav' },
  { demuxers: 'w64', extensions: 'w64', audio: 'audio/x-w64' },
  { demuxers: 'aiff', extensions: 'aif aiff aifc', audio: 'audio/aiff' },
  { demuxers: 'au', extensions: 'au snd', audio: 'audio/basic' },
  { demuxers: 'caf', extensions: 'caf', audio: 'audio/x-caf' },
  { demuxers: 'flac', extensions: 'flac', audio: 'audio/flac' },
  { demuxers: 'mp3', extensions: 'mp3 mp2 mpa mpga m2a', audio: 'audio/mpeg' },
  { demuxers: 'aac', extensions: 'aac adts', audio: 'audio/aac' },
  { demuxers: 'loas', extensions: 'loas latm', audio: 'audio/mp4a-latm' },
  { demuxers: 'ac3', extensions: 'ac3', audio: 'audio/ac3' },
  { demuxers: 'eac3', extensions: 'eac3 ec3', audio: 'audio/eac3' },
  { demuxers: 'ac4', extensions: 'ac4', audio: 'audio/ac4' },
  { demuxers: 'dts,dtshd', extensions: 'dts dtshd', audio: 'audio/vnd.dts' },
  { demuxers: 'truehd,mlp', extensions: 'thd mlp', audio: 'audio/vnd.dolby.mlp' },
  { demuxers: 'amr,amrnb,amrwb', extensions: 'amr', audio: 'audio/amr' },
  { demuxers: 'ape', extensions: 'ape', audio: 'audio/x-ape' },
  { demuxers: 'tta', extensions: 'tta', audio: 'audio/x-tta' },
  { demuxers: 'wv', extensions: 'wv', audio: 'audio/x-wavpack' },
  { demuxers: 'tak', extensions: 'tak', audio: 'audio/x-tak' },
  { demuxers: 'mpc,mpc8', extensions: 'mpc', audio: 'audio/x-musepack' },
  { demuxers: 'oma', extensions: 'oma aa3', audio: 'audio/x-oma' },
  { demuxers: 'voc', extensions: 'voc', audio: 'audio/x-voc' },
  { demuxers: 'dsf', extensions: 'dsf', audio: 'audio/x-dsf' },
  { demuxers: 'iff', extensions: 'iff 8svx', audio: 'audio/x-8svx', video: 'image/x-ilbm' },
  { demuxers: 'xwma', extensions: 'xwma', audio: 'audio/x-xwma' },
  { demuxers: 'shn', extensions: 'shn', audio: 'audio/x-shorten' },
  { demuxers: 'qcp', extensions: 'qcp', audio: 'audio/qcelp' },
  { demuxers: 'ircam', extensions: 'sf ircam', audio: 'audio/x-ircam' },
  { demuxers: 'osq', extensions: 'osq', audio: 'audio/x-osq' },

  { demuxers: 'png_pipe', extensions: 'png', video: 'image/png' },
  { demuxers: 'apng', extensions: 'apng', video: 'image/apng' },
  { demuxers: 'jpeg_pipe', extensions: 'jpg jpeg jpe jfif', video: 'image/jpeg' },
  { demuxers: 'jpegls_pipe', extensions: 'jls', video: 'image/jls' },
  { demuxers: 'jpegxl_pipe,jpegxl_anim', extensions: 'jxl', video: 'image/jxl' },
  { demuxers: 'j2k_pipe', extensions: 'jp2 j2k j2c', video: 'image/jp2' },
  { demuxers: 'webp_pipe,webp,webp_anim', extensions: 'webp', video: 'image/webp' },
  { demuxers: 'bmp_pipe', extensions: 'bmp dib', video: 'image/bmp' },
  { demuxers: 'tiff_pipe', extensions: 'tif tiff', video: 'image/tiff' },
  { demuxers: 'gif,gif_pipe', extensions: 'gif', video: 'image/gif' },
  { demuxers: 'qoi_pipe', extensions: 'qoi', video: 'image/qoi' },
  {
    demuxers: 'ppm_pipe,pgm_pipe,pbm_pipe,pam_pipe',
    extensions: 'ppm pgm pbm pam',
    video: 'image/x-portable-anymap',
  },
  { demuxers: 'pcx_pipe', extensions: 'pcx', video: 'image/vnd.zbrush.pcx' },
  { demuxers: 'sgi_pipe', extensions: 'sgi', video: 'image/sgi' },
  { demuxers: 'sunrast_pipe', extensions: 'ras', video: 'image/x-cmu-raster' },
  { demuxers: 'exr_pipe', extensions: 'exr', video: 'image/aces' },
  { demuxers: 'hdr_pipe', extensions: 'hdr', video: 'image/vnd.radiance' },
  { demuxers: 'psd_pipe', extensions: 'psd', video: 'image/vnd.adobe.photoshop' },
]

const DEMUXERS: readonly string[] = FORMATS.flatMap(({ demuxers }) => demuxers.split(','))

/** The extensions of media files, in lower case, without the dot. */
export const MEDIA_EXTENSIONS: ReadonlySet<string> = new Set(
  FORMATS.flatMap(({ extensions }) => extensions.split(' ')).filter(Boolean),
)

/**
 * Input options of every ffmpeg and ffprobe: the allowed protocols and formats, nested ones
 * included.
 */
export const INPUT_GUARDS: readonly string[] = [
  '-protocol_whitelist',
  'file',
  '-format_whitelist',
  DEMUXERS.join(','),
]

/**
 * Returns whether the clock of a format may jump. ffmpeg corrects the jumps of one stream at a
 * time, which shifts the other streams.
 */
export const hasJumpingClock = (format: string): boolean => /^(mpegts|mpeg)$/.test(format)

/**
 * Returns whether ffmpeg shifts the clock of a format to the first packet of the streams it reads.
 * In other formats it shifts the clock to the first packet of all streams.
 */
export const hasClockByStreamsRead = (format: string): boolean =>
  hasJumpingClock(format) || format === 'ogg'

/**
 * Returns false for audio-only formats, which have no timestamps. ffmpeg generates them, and they
 * are wrong after a change of the sample rate.
 */
export const hasTimestamps = (format: string): boolean => {
  const found = formatOf(format)
  return !found || found.video !== undefined
}

/**
 * Returns the media type of a file by ffprobe's name of its format, such as
 * `mov,mp4,m4a,3gp,3g2,mj2`. Returns `application/octet-stream` for other formats, and for those
 * that a browser must not execute.
 */
export function mediaTypeOf(format: string, hasVideo: boolean): string {
  const found = formatOf(format)
  const type = hasVideo ? (found?.video ?? found?.audio) : (found?.audio ?? found?.video)
  return type ?? 'application/octet-stream'
}

function formatOf(format: string): Format | undefined {
  const [name = ''] = format.split(',')
  return FORMATS.find(({ demuxers }) => demuxers.split(',').includes(name))
}
