"""Files that people take for photos and that are not read here, told by their first bytes, whatever they are called."""

HEAD = 512  # bytes that tell it
ENDINGS = (".avif", ".heic", ".heif", ".hif")  # of photos that are not read
VIDEO = "a video, not a photo; take photos from it, one a second: ffmpeg -i VIDEO -r 1 frame-%03d.png"
PHOTO = "{}, which is not read; save it as JPEG, for instance: magick PHOTO photo.jpg"

# The type of the first box, four bytes into the file: `ftyp`, with brands, in what ISO made of QuickTime; one of these
# in QuickTime of the years before.
QUICKTIME = (b"moov", b"mdat", b"wide")
AVIF = {b"avif", b"avis"}
HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
SOUND_OR_RAW = {b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B ", b"crx "}  # an ISO media file, but neither photo nor video
VIDEOS = (
    b"\x1a\x45\xdf\xa3",  # Matroska and WebM
    b"\x00\x00\x01\xba",  # MPEG, as on a DVD
    b"\x00\x00\x01\xb3",  # MPEG, one stream
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # Windows Media
    b"FLV\x01",
)
PACKET = 188  # bytes of an MPEG transport stream; camcorders put 4 before each


def unread(head: bytes) -> str | None:
    """What a file is and what to do with it, if its first HEAD bytes are those of a video, a HEIC or an AVIF."""
    if head[4:8] == b"ftyp":
        return _iso(head)
    avi = head[:4] == b"RIFF" and head[8:12] == b"AVI "
    old = head[4:8] in QUICKTIME
    transport = any(
        head[start : start + 2 * step + 1 : step] == b"GGG" for start, step in ((0, PACKET), (4, PACKET + 4))
    )
    return VIDEO if avi or old or transport or head.startswith(VIDEOS) else None


def _iso(head: bytes) -> str | None:
    """By its brands: the first says what it is, the others what it is as well."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    first, *others = (head[start : start + 4] for start in (8, *range(16, end - 3, 4)))
    if first in AVIF or (first in HEIC and AVIF.intersection(others)):
        return PHOTO.format("AVIF")
    if first in HEIC:
        return PHOTO.format("HEIC, in which iPhones keep photos")
    return None if first in SOUND_OR_RAW else VIDEO
