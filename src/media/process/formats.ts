/** What one of ffmpeg's demuxers opens. */
interface Format {
  readonly demuxers: string // ffmpeg's names, the first of which stands for all
  readonly extensions: string // of files that a scan takes for this format
  readonly sound?: string // media type of a file without picture
  readonly video?: string // media type of a file with a picture
}

/**
 * The formats that may be opened. Not among them: those that open further files or addresses (hls, dash,
 * concat, image2, imf, sdp, …), devices, lavfi, subtitles, raw data without a header, vector and page
 * formats, and TGA, which has no signature. Names that an ffmpeg does not know are of newer versions.
 */
const FORMATS: readonly Format[] = [
  {
    demuxers: 'mov,mp4,m4a,3gp,3g2,mj2',
    extensions: 'mp4 m4v mov qt m4a m4b m4r alac 3gp 3gpp 3g2 f4v f4a mj2 heic heif hif avif',
    sound: 'audio/mp4',
    video: 'video/mp4',
  },
  {
    demuxers: 'matroska',
    extensions: 'mkv mka mk3d',
    sound: 'audio/x-matroska',
    video: 'video/x-matroska',
  },
  { demuxers: 'webm', extensions: 'webm weba', sound: 'audio/webm', video: 'video/webm' },
  { demuxers: 'avi', extensions: 'avi divx', video: 'video/x-msvideo' },
  { demuxers: 'flv', extensions: 'flv', video: 'video/x-flv' },
  { demuxers: 'mpegts', extensions: 'ts mts m2ts m2t', sound: 'audio/mp2t', video: 'video/mp2t' },
  { demuxers: 'mpeg', extensions: 'mpg mpeg mpe vob', sound: 'audio/mpeg', video: 'video/mpeg' },
  { demuxers: 'mpegvideo', extensions: 'm1v m2v', video: 'video/mpeg' },
  { demuxers: 'asf', extensions: 'asf wmv wma', sound: 'audio/x-ms-wma', video: 'video/x-ms-wmv' },
  {
    demuxers: 'rm',
    extensions: 'rm rmvb ra',
    sound: 'audio/x-realaudio',
    video: 'video/x-realvideo',
  },
  { demuxers: 'nut', extensions: 'nut', sound: 'audio/x-nut', video: 'video/x-nut' },
  { demuxers: 'mxf', extensions: 'mxf', sound: 'application/mxf', video: 'application/mxf' },
  { demuxers: 'gxf', extensions: 'gxf', video: 'video/x-gxf' },
  {
    demuxers: 'ogg',
    extensions: 'ogg oga ogv ogx opus spx',
    sound: 'audio/ogg',
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

  { demuxers: 'wav', extensions: 'wav bwf', sound: 'audio/wav' },
  { demuxers: 'w64', extensions: 'w64', sound: 'audio/x-w64' },
  { demuxers: 'aiff', extensions: 'aif aiff aifc', sound: 'audio/aiff' },
  { demuxers: 'au', extensions: 'au snd', sound: 'audio/basic' },
  { demuxers: 'caf', extensions: 'caf', sound: 'audio/x-caf' },
  { demuxers: 'flac', extensions: 'flac', sound: 'audio/flac' },
  { demuxers: 'mp3', extensions: 'mp3 mp2 mpa mpga m2a', sound: 'audio/mpeg' },
  { demuxers: 'aac', extensions: 'aac adts', sound: 'audio/aac' },
  { demuxers: 'loas', extensions: 'loas latm', sound: 'audio/mp4a-latm' },
  { demuxers: 'ac3', extensions: 'ac3', sound: 'audio/ac3' },
  { demuxers: 'eac3', extensions: 'eac3 ec3', sound: 'audio/eac3' },
  { demuxers: 'ac4', extensions: 'ac4', sound: 'audio/ac4' },
  { demuxers: 'dts,dtshd', extensions: 'dts dtshd', sound: 'audio/vnd.dts' },
  { demuxers: 'truehd,mlp', extensions: 'thd mlp', sound: 'audio/vnd.dolby.mlp' },
  { demuxers: 'amr,amrnb,amrwb', extensions: 'amr', sound: 'audio/amr' },
  { demuxers: 'ape', extensions: 'ape', sound: 'audio/x-ape' },
  { demuxers: 'tta', extensions: 'tta', sound: 'audio/x-tta' },
  { demuxers: 'wv', extensions: 'wv', sound: 'audio/x-wavpack' },
  { demuxers: 'tak', extensions: 'tak', sound: 'audio/x-tak' },
  { demuxers: 'mpc,mpc8', extensions: 'mpc', sound: 'audio/x-musepack' },
  { demuxers: 'oma', extensions: 'oma aa3', sound: 'audio/x-oma' },
  { demuxers: 'voc', extensions: 'voc', sound: 'audio/x-voc' },
  { demuxers: 'dsf', extensions: 'dsf', sound: 'audio/x-dsf' },
  { demuxers: 'iff', extensions: 'iff 8svx', sound: 'audio/x-8svx', video: 'image/x-ilbm' },
  { demuxers: 'xwma', extensions: 'xwma', sound: 'audio/x-xwma' },
  { demuxers: 'shn', extensions: 'shn', sound: 'audio/x-shorten' },
  { demuxers: 'qcp', extensions: 'qcp', sound: 'audio/qcelp' },
  { demuxers: 'ircam', extensions: 'sf ircam', sound: 'audio/x-ircam' },
  { demuxers: 'osq', extensions: 'osq', sound: 'audio/x-osq' },

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

/** Names of the demuxers that may open a file. */
export const DEMUXERS: readonly string[] = FORMATS.flatMap(({ demuxers }) => demuxers.split(','))

/** Extensions of media files, without the dot, in lower case. */
export const MEDIA_EXTENSIONS: ReadonlySet<string> = new Set(
  FORMATS.flatMap(({ extensions }) => extensions.split(' ')).filter(Boolean),
)

/** Input options of every ffmpeg and ffprobe: formats and protocols, of the file and of what it points to. */
export const INPUT_GUARDS: readonly string[] = [
  '-protocol_whitelist',
  'file',
  '-format_whitelist',
  DEMUXERS.join(','),
]

/** Formats whose clock may jump: ffmpeg corrects the jumps of one stream at a time, and sets other streams wrong. */
export const hasJumpingClock = (format: string): boolean => /^(mpegts|mpeg)$/.test(format)

/** Formats whose clock ffmpeg shifts to the first packet of the streams that are read, instead of all streams. */
export const hasClockByStreamsRead = (format: string): boolean =>
  hasJumpingClock(format) || format === 'ogg'

/**
 * False for formats of sound alone, which have no timestamps: those that ffmpeg makes up are wrong
 * where the sample rate changes midway.
 */
export const hasTimestamps = (format: string): boolean => {
  const found = formatOf(format)
  return !found || found.video !== undefined
}

/**
 * The media type of a file by ffprobe's name of its format, such as `mov,mp4,m4a,3gp,3g2,mj2`. A file
 * of another format, or one that no browser should run anything from, is `application/octet-stream`.
 */
export function mediaTypeOf(format: string, hasPicture: boolean): string {
  const found = formatOf(format)
  const type = hasPicture ? (found?.video ?? found?.sound) : (found?.sound ?? found?.video)
  return type ?? 'application/octet-stream'
}

function formatOf(format: string): Format | undefined {
  const [name = ''] = format.split(',')
  return FORMATS.find(({ demuxers }) => demuxers.split(',').includes(name))
}
