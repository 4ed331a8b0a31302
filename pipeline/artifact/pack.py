"""Reads one wheel, or an app's own files, and writes them with their compiled code as one pack: what the artifact takes from it.

    pack.py wheel WHEEL SITE_PACKAGES OUT
    pack.py folder FOLDER PREFIX OUT        (relative paths on stdin, each ended by NUL)

A pack is the bytes of its files, one after the other; then the index, JSON; then 16 hexadecimal digits, the size of the index; then the
sha256 of all before, 64 digits. Prints one JSON line: {"uncompiled": [paths]}, or {"refused": {"path", "reason"}} and no pack.

Runs in the interpreter that the app will run in, one fresh process for each pack: marshal's output depends on what a process met before.
"""

import base64
import csv
import hashlib
import importlib.util
import io
import json
import marshal
import os
import stat
import sys
import warnings
import zipfile
import zlib
from functools import partial


class Refused(Exception):
    pass


def compiled(source, path):
    """Bytes of an unchecked hash-based pyc (PEP 552). The import system replaces the relative `path` in it by the real one."""
    code = compile(source, path, "exec", dont_inherit=True, optimize=0)
    return importlib.util.MAGIC_NUMBER + (0b01).to_bytes(4, "little") + importlib.util.source_hash(source) + marshal.dumps(code)


def checked_name(name):
    if name.startswith("/") or "\\" in name or any(part in ("", ".", "..") for part in name.split("/")):
        raise Refused(name, "the name is not a plain relative path")
    return name


def record_of(wheel, dist_info):
    rows = {}
    for row in csv.reader(io.StringIO(wheel.read(dist_info + "/RECORD").decode("utf-8"))):
        if len(row) == 3:
            rows[row[0]] = (row[1], row[2])
    return rows


def check_against_record(name, data, row):
    if row is None:
        raise Refused(name, "RECORD does not name it")
    digest, size = row
    algorithm, _, expected = digest.partition("=")
    if algorithm not in ("sha256", "sha384", "sha512"):
        raise Refused(name, "RECORD gives no sha256 for it")
    found = base64.urlsafe_b64encode(hashlib.new(algorithm, data).digest()).rstrip(b"=").decode()
    if found != expected.rstrip("="):
        raise Refused(name, "its bytes are not those RECORD names")
    if size and int(size) != len(data):
        raise Refused(name, "its size is not what RECORD says")


def destination(name, data_folder, site_packages):
    """Where a file of a wheel goes in the tree; None for what a host has no use for: scripts, headers, the wheel's own compiled code."""
    if "__pycache__" in name.split("/"):
        return None
    if not name.startswith(data_folder + "/"):
        return site_packages + "/" + name
    scheme, _, rest = name[len(data_folder) + 1 :].partition("/")
    if scheme in ("purelib", "platlib"):
        return site_packages + "/" + rest
    if scheme in ("scripts", "headers"):
        return None
    if scheme != "data":
        raise Refused(name, "there is no place for " + scheme)
    top = rest.split("/")[0]
    if top == "bin":
        return None
    if top in ("app", "manifest.json", "pyvenv.cfg"):
        raise Refused(name, top + " is not a wheel's to write")
    return rest


def wheel_files(wheel, site_packages):
    """(destination, executable, read) of every file; `read` gives bytes that RECORD has proven."""
    infos = [info for info in wheel.infolist() if not info.is_dir()]
    names = {checked_name(info.filename) for info in infos}
    folders = {name.split("/")[0] for name in names if name.split("/")[0].endswith(".dist-info")}
    if len(folders) != 1:
        raise Refused("", "it has not exactly one .dist-info folder")
    dist_info = folders.pop()
    if dist_info + "/RECORD" not in names:
        raise Refused("", "it has no RECORD")
    rows = record_of(wheel, dist_info)
    unproven = {dist_info + "/" + name for name in ("RECORD", "RECORD.jws", "RECORD.p7s")}
    for name in sorted(rows.keys() - names - unproven):
        if rows[name][0]:
            raise Refused(name, "RECORD names it, but it is not there")

    def proven(info):
        data = wheel.read(info)
        if info.filename not in unproven:
            check_against_record(info.filename, data, rows.get(info.filename))
        return data

    seen = set()
    for info in infos:
        if info.filename in seen:
            raise Refused(info.filename, "it is there twice")
        seen.add(info.filename)
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            raise Refused(info.filename, "it is not a regular file")
        to = destination(info.filename, dist_info[: -len("dist-info")] + "data", site_packages)
        if to is None:
            proven(info)
        else:
            yield to, bool((info.external_attr >> 16) & 0o111), partial(proven, info)


def folder_files(folder, prefix):
    def read(name):
        try:
            with open(os.open(os.path.join(os.fsencode(folder), name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise Refused(name.decode(), "it is not a regular file")
                return file.read()
        except OSError as error:
            raise Refused(name.decode(), "it cannot be read: " + str(error.strerror)) from error

    for name in sys.stdin.buffer.read().split(b"\0")[:-1]:
        executable = os.lstat(os.path.join(os.fsencode(folder), name)).st_mode & 0o100
        yield prefix + "/" + name.decode(), bool(executable), partial(read, name)


def write_pack(files, compile_under, out):
    entries, uncompiled, total = [], [], hashlib.sha256()
    with open(out, "wb") as pack:

        def put(data):
            total.update(data)
            pack.write(data)

        def add(path, executable, data, derived):
            digest = hashlib.sha256(data).hexdigest()
            entries.append({"path": path, "executable": executable, "sizeBytes": len(data), "sha256": digest, "compiled": derived})
            put(data)

        for path, executable, read in sorted(files, key=lambda file: file[0].encode()):
            data = read()
            add(path, executable, data, False)
            if path.endswith(".py") and path.startswith(compile_under + "/"):
                try:
                    code = compiled(data, path)
                except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
                    uncompiled.append(path)  # templates and tests for other versions are like that; pip goes on as well
                else:
                    add(importlib.util.cache_from_source(path), False, code, True)
        index = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
        put(index)
        put(b"%016x" % len(index))
        pack.write(total.hexdigest().encode())
    return uncompiled


def main(kind, source, place, out):
    warnings.simplefilter("ignore")
    try:
        if kind == "folder":
            uncompiled = write_pack(folder_files(source, place), place, out)
        else:
            with zipfile.ZipFile(source) as wheel:
                uncompiled = write_pack(wheel_files(wheel, place), place, out)
        print(json.dumps({"uncompiled": uncompiled}))
    except Refused as refused:
        print(json.dumps({"refused": {"path": refused.args[0], "reason": refused.args[1]}}))
    except (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, NotImplementedError, EOFError, UnicodeDecodeError, RuntimeError) as error:
        print(json.dumps({"refused": {"path": "", "reason": "it is not a sound zip file: " + str(error)}}))


if __name__ == "__main__":
    main(*sys.argv[1:])
