"""Makes the seeds of the readers of images, archives and records: small, whole files of every kind that the readers take.

    pip install pillow==13.0.0
    python make_seeds.py

The seeds of configs and records that the repository holds elsewhere are read from there, and those of weights are made by the
program itself.
"""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

from PIL import Image

SEEDS = Path(__file__).parent / "seeds"
WIDTH, HEIGHT = 21, 14


def put(folder, name, content):
    path = SEEDS / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def picture(mode="RGB", shift=0):
    def pixel(x, y):
        rough = x * x * y * 7 % 31
        return (x * 12 + shift + rough) % 256, (y * 18 + shift) % 256, (x * y * 5) % 256, 255 - 4 * x

    image = Image.new("RGBA", (WIDTH, HEIGHT))
    image.putdata([pixel(x, y) for y in range(HEIGHT) for x in range(WIDTH)])
    return image.convert("RGB").convert(mode) if mode in ("CMYK", "P", "1", "L") else image.convert(mode)


def encoded(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def images():
    turned = Image.Exif()
    turned[0x0112] = 6
    frames = [picture(shift=60), picture(shift=120)]
    sixteen = Image.new("I;16", (WIDTH, HEIGHT))
    sixteen.putdata([x * y * 200 for y in range(HEIGHT) for x in range(WIDTH)])
    for name, content in {
        "rgb.jpg": encoded(picture(), "JPEG"),
        "coarse-colour.jpg": encoded(picture(), "JPEG", quality=40, subsampling="4:2:0"),
        "progressive.jpg": encoded(picture(), "JPEG", progressive=True),
        "restarts.jpg": encoded(picture(), "JPEG", restart_marker_blocks=1),
        "optimised.jpg": encoded(picture(), "JPEG", optimize=True),
        "grey.jpg": encoded(picture("L"), "JPEG"),
        "cmyk.jpg": encoded(picture("CMYK"), "JPEG"),
        "turned.jpg": encoded(picture(), "JPEG", exif=turned.tobytes()),
        "rgb.png": encoded(picture(), "PNG"),
        "grey.png": encoded(picture("L"), "PNG"),
        "one-bit.png": encoded(picture("1"), "PNG"),
        "grey-alpha.png": encoded(picture("LA"), "PNG"),
        "alpha.png": encoded(picture("RGBA"), "PNG"),
        "sixteen-bit.png": encoded(sixteen, "PNG"),
        "palette.png": encoded(picture("P"), "PNG", transparency=3),
        "turned.png": encoded(picture(), "PNG", exif=turned.tobytes()),
        "animated.png": encoded(picture(), "PNG", save_all=True, append_images=frames),
        "lossy.webp": encoded(picture(), "WEBP"),
        "lossy-alpha.webp": encoded(picture("RGBA"), "WEBP"),
        "lossless.webp": encoded(picture(), "WEBP", lossless=True),
        "lossless-alpha.webp": encoded(picture("RGBA"), "WEBP", lossless=True),
        "turned.webp": encoded(picture(), "WEBP", exif=turned.tobytes()),
        "animated.webp": encoded(picture("RGBA"), "WEBP", save_all=True, append_images=frames, duration=9),
    }.items():
        put("image", name, content)


def tar(kind, names):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as archive:
        folder = tarfile.TarInfo("cifar-10-batches-bin/")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = len(name)
            archive.addfile(entry, io.BytesIO(name.encode()))
    # Python pads to 10,240 bytes, of which nothing is learned.
    return out.getvalue().rstrip(b"\0") + bytes(1024)


def archives():
    names = ["cifar-10-batches-bin/batches.meta.txt", "cifar-10-batches-bin/readme.html", "./extra.bin"]
    long = ["cifar-10-batches-bin/" + "n" * 120, "é/ü.txt"]
    for name, content in {
        "ustar.tar": tar(tarfile.USTAR_FORMAT, names),
        "gnu.tar": tar(tarfile.GNU_FORMAT, names),
        "gnu-long.tar": tar(tarfile.GNU_FORMAT, long),
        "pax-long.tar": tar(tarfile.PAX_FORMAT, long),
    }.items():
        # To whole blocks: headers and contents are read by 512 bytes.
        put("tar", name, content + bytes(-len(content) % 512))
    put("tar", "two-members.tar.gz", gzip.compress(b"", mtime=0) + gzip.compress(tar(tarfile.USTAR_FORMAT, names), mtime=0))


def zipped(compression, files, comment=b""):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        archive.comment = comment
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return out.getvalue()


def zips():
    photo = encoded(picture(), "JPEG", quality=20)
    inner = zipped(zipfile.ZIP_STORED, {"train/cat.0.jpg": photo, "train/dog.0.jpg": b"dog", "train/": b""})
    put("zip", "stored.zip", inner)
    put("zip", "nested.zip", zipped(zipfile.ZIP_DEFLATED, {"train.zip": inner, "sampleSubmission.csv": b"id,label\n"}))
    photos = {"PetImages/Cat/0.jpg": photo, "PetImages/Dog/1.jpg": photo, "PetImages/Cat/Thumbs.db": b"x"}
    put("zip", "deflated.zip", zipped(zipfile.ZIP_DEFLATED, photos, b"a comment"))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in ("cat.1.jpg", "dog.1.jpg"):
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as entry:
                entry.write(photo)
    put("zip", "zip64.zip", out.getvalue())


def records():
    put("records", "excluded.csv", b'schema,file,reason\n1,train/cat/3.png,"is no JPEG, PNG or WebP file"\n')
    put("records", "images.csv", b"schema,position,image\n1,3,test/cat/1.png\n1,7,test/dog/2.png\n")
    put("records", "parts.csv", b"schema,part,batch_size,seconds\n1,forward,8,0.25\n1,forward_backward,8,0.5\n")
    noise = b'{"log_std": 0.01, "degrees": 9}'
    put("records", "noise.json", b"""{
  "schema": 1,
  "version": "0.1.0",
  "cpu": "CPU",
  "cpu_cores": 2,
  "device": "flex",
  "threads": 2,
  "measured": "2026-11-21T11:35:25Z",
  "train_step": %s,
  "inference": %s,
  "latency": %s
}
""" % (noise, noise, noise))
    put("records", "failed.json", b"""{
  "schema": 1,
  "run": "vit-s0-f9740f8a5c",
  "model": "vit",
  "architecture": "vit",
  "seed": 0,
  "data_fingerprint": "4966",
  "version": "0.1.0",
  "device": "flex",
  "precision": "f32",
  "threads": 2,
  "reason": "diverged",
  "message": "the loss is NaN",
  "epoch": 3
}
""")


images()
archives()
zips()
records()
