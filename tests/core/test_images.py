"""Image files as bytes: read exactly, or refused with a ValueError whatever is wrong with them."""

import io
import json
import os
import random
import struct
import subprocess
import sys
import zlib
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import PIL.ExifTags
import PIL.Image
import PIL.ImageOps
import pytest

from src.core import images

REPOSITORY = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.filterwarnings("ignore:::PIL")  # pytest sets aside that src.core.images does the same


def encoded(image: PIL.Image.Image, kind: str, **how) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def noise(mode: str = "L", size: tuple[int, int] = (48, 48), seed: int = 0) -> PIL.Image.Image:
    shape = (size[1], size[0], 3)
    return PIL.Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)).convert(mode)


def turned(orientation: int) -> PIL.Image.Exif:
    exif = PIL.Image.Exif()
    exif[PIL.ExifTags.Base.Orientation] = orientation
    return exif


FILES = {
    "colour.jpg": encoded(noise("RGB", (57, 31)), "JPEG"),
    "grey.jpg": encoded(noise("L", (48, 48)), "JPEG"),
    "cmyk.jpg": encoded(noise("CMYK", (40, 60)), "JPEG"),
    "colour.png": encoded(noise("RGB", (57, 31)), "PNG"),
    "transparent.png": encoded(noise("RGBA", (31, 57)), "PNG"),
    "palette.png": encoded(noise("P", (48, 48)), "PNG"),
    "grey.png": encoded(noise("L", (64, 48)), "PNG"),
    "black and white.png": encoded(noise("1", (48, 48)), "PNG"),
    "half transparent.png": encoded(noise("LA", (48, 48)), "PNG"),
    "transparent palette.png": encoded(noise("P", (48, 48)), "PNG", transparency=3),
    "16 bits a colour.png": cv2.imencode(".png", np.random.default_rng(1).integers(0, 2**16, (48, 40, 3), np.uint16))[
        1
    ].tobytes(),
    "cmyk.tif": encoded(noise("CMYK", (40, 60)), "TIFF"),
    "pages.tif": encoded(noise("L"), "TIFF", save_all=True, append_images=[noise("L", seed=1)]),
    "animated.png": encoded(noise("RGB"), "PNG", save_all=True, append_images=[noise("RGB", seed=1)]),
    "animated.gif": encoded(noise("P"), "GIF", save_all=True, append_images=[noise("P", seed=1)]),
    "animated.webp": encoded(noise("RGB"), "WEBP", save_all=True, append_images=[noise("RGB", seed=1)]),
    "on its side.jpg": encoded(noise("RGB", (57, 31)), "JPEG", exif=turned(6)),
    "mirrored.png": encoded(noise("RGB", (57, 31)), "PNG", exif=turned(2)),
    "wrong extension.png": encoded(noise("RGB", (57, 31)), "JPEG"),
}


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"])
def test_pixels_are_those_of_keras(tmp_path, interpolation):
    from keras.utils import load_img

    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
        for size in (20, 48, 100):
            keras = load_img(
                tmp_path / name, color_mode="grayscale", target_size=(size, size), interpolation=interpolation
            )
            ours = images.resize(images.decode(data), size, interpolation)
            assert ours.dtype == np.uint8
            np.testing.assert_array_equal(ours, np.asarray(keras, np.uint8), f"{name} at {size}")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP"])
def test_an_image_cut_short_is_not_decoded(kind):
    whole = encoded(noise("RGB"), kind)
    assert images.decode(whole).shape == noise("RGB").size[::-1]
    for length in (0, 10, len(whole) // 2, len(whole) * 9 // 10):
        with pytest.raises(ValueError):
            images.decode(whole[:length])


def test_an_exif_orientation_turns_the_image_only_where_that_is_asked_for():
    upright = encoded(noise("L", (48, 48)), "PNG")
    for orientation in range(1, 9):
        marked = encoded(noise("L", (48, 48)), "PNG", exif=turned(orientation))
        assert marked != upright
        np.testing.assert_array_equal(images.decode(marked), np.asarray(noise("L", (48, 48))))
        np.testing.assert_array_equal(
            images.photo(marked)[0],
            np.asarray(PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(marked)))),
        )


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "TIFF"])
def test_of_an_animation_or_several_pages_the_first_is_taken(kind):
    """And it is an animation: the second frame is another one."""
    how = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(noise("L"), kind, save_all=True, append_images=[noise("L", seed=1)], **how)
    opened = PIL.Image.open(io.BytesIO(data))
    assert opened.n_frames == 2
    np.testing.assert_array_equal(images.decode(data), np.asarray(opened.convert("L")))
    opened.seek(1)
    assert not np.array_equal(images.decode(data), np.asarray(opened.convert("L")))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_grey_of_16_bits_is_refused(kind):
    """Keras would hand 65535 to a network that expects 255 at most."""
    deep = PIL.Image.fromarray(np.full((48, 48), 40_000, np.uint16))
    with pytest.raises(ValueError, match="more than 8 bits per channel"):
        images.decode(encoded(deep, kind))


def test_floating_point_grey_is_refused():
    with pytest.raises(ValueError, match="more than 8 bits per channel"):
        images.decode(encoded(PIL.Image.fromarray(np.ones((48, 48), np.float32)), "TIFF"))


@pytest.mark.parametrize("name", FILES)
def test_a_photo_that_is_not_shrunk_has_the_pixels_that_pillows_own_turning_gives(name):
    for orientation in range(9):
        image = PIL.Image.open(io.BytesIO(FILES[name]))
        kind = "PNG" if image.mode == "P" else image.format  # GIF holds no EXIF data
        data = encoded(image, kind, exif=turned(orientation))
        expected = PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(data)))
        for mode in ("L", "RGB"):
            pixels, divisor = images.photo(data, mode)
            assert divisor == 1
            np.testing.assert_array_equal(pixels, np.asarray(expected.convert(mode)))


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *(("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "LA")),
        *(("PNG", "P"), ("WEBP", "RGBA"), ("TIFF", "RGB"), ("TIFF", "CMYK"), ("TIFF", "P")),
        *(("BMP", "RGB"), ("PPM", "RGB"), ("GIF", "P")),
    ],
)
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_photo_is_shrunk_by_a_power_of_two_and_still_the_same_picture(kind, mode, orientation):
    coarse = noise("RGB", (9, 7)).resize((901, 703), PIL.Image.Resampling.BICUBIC)
    data = encoded(coarse.convert(mode), kind, exif=turned(orientation))
    whole, _ = images.photo(data)
    pixels, divisor = images.photo(data, most=50_000)
    assert divisor == 4
    assert pixels.shape == (-(-whole.shape[0] // 4), -(-whole.shape[1] // 4))
    again = cv2.resize(whole, pixels.shape[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(pixels.astype(int) - again).mean() < 2
    colour, divisor = images.photo(data, "RGB", most=50_000)
    assert (colour.shape, divisor) == ((*pixels.shape, 3), 4)


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (7, 3), (1001, 999)])
def test_no_shape_is_too_long_to_be_shrunk(size):
    for kind in ("JPEG", "PNG"):
        pixels, divisor = images.photo(encoded(noise("L", size), kind), most=10)
        assert pixels.size <= 10
        assert pixels.shape == (-(-size[1] // divisor), -(-size[0] // divisor))


def exif(*entries: tuple[int, int, int, bytes]) -> bytes:
    """EXIF data of entries (tag, type, count, value in 4 bytes), as a camera writes them and Pillow would not."""
    packed = b"".join(struct.pack("<HHI4s", *entry) for entry in entries)
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + packed + bytes(4)


SIDEWAYS = (0x0112, 3, 1, b"\6\0\0\0")


@pytest.mark.parametrize(
    ("data", "turns"),
    [
        pytest.param(exif(SIDEWAYS), True, id="plain"),
        pytest.param(exif(SIDEWAYS, (0x011A, 2, 3, b"72\0\0")), True, id="a resolution in letters"),
        pytest.param(exif(SIDEWAYS, (0x011A, 5, 1, b"\xff\xff\xff\x7f")), True, id="a resolution far outside"),
        pytest.param(exif(SIDEWAYS, (0x8769, 4, 1, b"\xff\xff\xff\x7f")), True, id="a directory far outside"),
        pytest.param(exif((0x0112, 2, 2, b"6\0\0\0")), False, id="an orientation in letters"),
        pytest.param(exif((0x0112, 7, 4, b"\6\0\0\0")), False, id="an orientation of bytes"),
        pytest.param(exif((0x0112, 3, 2, b"\6\0\6\0")), True, id="the orientation twice"),
        pytest.param(exif((0x0112, 3, 1, b"\x63\0\0\0")), False, id="an orientation that there is not"),
        pytest.param(exif((0x0112, 99, 1, b"\6\0\0\0")), False, id="of a type that there is not"),
        pytest.param(exif(SIDEWAYS)[:17], False, id="cut short"),
        pytest.param(b"Exif\0\0" + b"\xff" * 40, False, id="nonsense"),
        pytest.param(b"Exif\0\0", False, id="empty"),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_data_that_a_camera_has_written_strangely_costs_no_photo(kind, data, turns):
    how = {"lossless": True} if kind == "WEBP" else {}
    plain = np.asarray(PIL.Image.open(io.BytesIO(encoded(noise("RGB", (64, 48)), kind, **how))).convert("L"))
    pixels, _ = images.photo(encoded(noise("RGB", (64, 48)), kind, exif=data, **how))
    np.testing.assert_array_equal(pixels, np.rot90(plain, -1) if turns else plain)


FOREIGN = {
    kind: encoded(noise("RGB", (64, 64)).convert(mode), kind)
    for kind, mode in {
        **{"AVIF": "RGB", "BLP": "P", "DDS": "RGB", "EPS": "RGB", "ICO": "RGB", "JPEG2000": "RGB", "PCX": "RGB"},
        **{"PDF": "RGB", "QOI": "RGB", "SGI": "RGB", "SPIDER": "F", "TGA": "RGB", "XBM": "1"},
    }.items()
} | {
    "PSD": b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 8, 8, 8, 3) + bytes(300),
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg' width='8' height='8'/>",
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_another_format_is_refused_whatever_it_is(kind):
    for read in (images.decode, images.photo, images.size):
        with pytest.raises(ValueError, match="none of the formats BMP, GIF, JPEG, MPO, PNG, PPM, TIFF, WEBP"):
            read(FOREIGN[kind])


def enlarged(width: int, height: int) -> bytes:
    """A small PNG that says it has so many pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    small = encoded(noise("L"), "PNG")
    return small[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + small[33:]


def test_an_image_of_more_pixels_than_are_ever_decoded_is_refused_by_its_header():
    for read in (images.decode, images.photo, images.size):
        for width, height in ((2**14 + 1, 2**14), (2**31 - 1, 2**31 - 1)):
            with pytest.raises(images.TooLarge, match="more than 268435456 pixels"):
                read(enlarged(width, height))
    assert images.size(enlarged(2**14, 2**14)) == (2**14, 2**14)


WHOLE = {
    **{kind: encoded(noise("RGB", (24, 20)), kind) for kind in ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")},
    "MPO": encoded(noise("RGB", (24, 20)), "MPO", save_all=True, append_images=[noise("RGB", (24, 20), 1)]),
    "progressive": encoded(noise("RGB", (24, 20)), "JPEG", progressive=True, exif=exif(SIDEWAYS)),
    "palette": encoded(noise("P", (24, 20)), "PNG", transparency=b"\1\2\3", exif=exif(SIDEWAYS)),
    "animation": encoded(noise("P", (24, 20)), "GIF", save_all=True, append_images=[noise("P", (24, 20), 1)]),
    "lossless": encoded(noise("RGBA", (24, 20)), "WEBP", lossless=True, exif=exif(SIDEWAYS)),
    **{
        f"TIFF {how}": encoded(noise("RGB", (24, 20)), "TIFF", compression=how)
        for how in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits", "lzma", "zstd")
    },
    "fax": encoded(noise("1", (24, 20)), "TIFF", compression="group4"),
}


def mutations(count: int, seed: int) -> list[bytes]:
    """Small files with bytes changed, cut short, or with the beginning of another."""
    chance = random.Random(seed)
    files = list(WHOLE.values()) + list(FOREIGN.values())
    changed = []
    for _ in range(count):
        data = bytearray(chance.choice(files))
        how = chance.random()
        if how < 0.6:
            for _ in range(chance.choice((1, 2, 4, 8, 30))):
                end = len(data) if chance.random() < 0.5 else min(200, len(data))
                data[chance.randrange(end)] = chance.randrange(256)
        elif how < 0.8:
            del data[chance.randrange(len(data)) :]
        else:
            start = chance.randrange(min(64, len(data)))
            data[:start] = chance.choice(files)[:start]
        changed.append(bytes(data))
    return changed


def fuzz() -> None:
    """Prints as JSON what became of each mutation; anything but an image or a short ValueError ends it."""
    ends = Counter()
    for data in mutations(1500, seed=1):
        for read in (images.decode, images.photo, lambda data: images.photo(data, "RGB", 100), images.size):
            try:
                read(data)
                ends["image"] += 1
            except ValueError as error:
                assert 0 < len(str(error)) <= 200 and str(error).isprintable(), repr(error)
                ends["error"] += 1
    print(json.dumps(ends))


def test_random_damage_is_an_image_or_a_value_error_and_nothing_is_printed(tmp_path):
    """Neither by Python's warnings and logs nor by libtiff past them."""
    code = "from tests.core.test_images import fuzz; fuzz()"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")
    ends = json.loads(done.stdout)
    assert ends["image"] > 1000 and ends["error"] > 1000


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\n0 0 64 64 rectfill\nshowpage\n%%EOF\n"


def with_fake_ghostscript(folder: Path) -> dict[str, str]:
    """An environment in which `gs` leaves the file `started`."""
    program = folder / "gs"
    program.write_text(f"#!/bin/sh\ntouch {folder}/started\nexit 1\n")
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def test_a_photo_that_holds_postscript_starts_no_ghostscript(tmp_path):
    """Nor does it in the stages, which all read with `decode`."""
    environment = with_fake_ghostscript(tmp_path)
    (tmp_path / "photo.jpg").write_bytes(POSTSCRIPT)
    code = f"from src.core.images import *; decode(open({str(tmp_path / 'photo.jpg')!r}, 'rb').read())"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert "ValueError: not an image" in done.stderr
    assert not (tmp_path / "started").exists()


SAVE = """
import sys
import numpy as np
from PIL import Image
path, mode, how = sys.argv[1], sys.argv[2], eval(sys.argv[3])
coarse = np.random.default_rng(0).integers(0, 256, (90, 120, len(mode)), np.uint8)
Image.fromarray(coarse, mode).resize((12_000, 9_000), Image.Resampling.NEAREST).save(path, **how)
"""
READ = """
import resource, sys
from src.core import images
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
data = open(sys.argv[1], "rb").read()
before = peak()
pixels, divisor = images.photo(data, sys.argv[2])
assert pixels.shape[:2] == (2250, 3000) and divisor == 4, (pixels.shape, divisor)
print((peak() - before) / 108e6)
"""


@pytest.mark.parametrize(
    ("mode", "how", "grey", "colour"),  # bytes of memory for a pixel of the photo
    [
        pytest.param("RGB", {"format": "JPEG"}, 1, 1, id="baseline JPEG"),
        pytest.param("RGB", {"format": "JPEG", "progressive": True}, 3.5, 3.5, id="progressive JPEG"),
        pytest.param("RGB", {"format": "PNG", "compress_level": 1}, 5.2, 5.2, id="PNG"),
        pytest.param("RGBA", {"format": "PNG", "compress_level": 1}, 5.2, 8.4, id="transparent PNG"),
    ],
)
def test_a_photo_of_108_megapixels_is_read_in_bounded_memory(tmp_path, mode, how, grey, colour):
    path = tmp_path / "photo"
    subprocess.run([sys.executable, "-c", SAVE, path, mode, repr(how)], check=True)
    for into, bound in (("L", grey), ("RGB", colour)):
        command = [sys.executable, "-c", READ, path, into]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert float(done.stdout) < bound
