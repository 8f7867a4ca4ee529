#!/usr/bin/python3
"""Opens pagestate tokens, and seals them again, as docs/token.md says."""
import argparse, base64, ipaddress, json, math, re, struct, sys, time, zlib

import msgpack
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

BASIC = dict(enumerate(zip(
    "bool int int8 int16 int32 int64 uint uint8 uint16 uint32 uint64 float32 float64 complex64 complex128 "
    "string []byte time.Time time.Duration []any map[string]any".split(),
    "b i c h w l I C H W L f d F D s y t l [? ms?".split())))


def derive(secret, purpose, binding, session, user_kind, user):
    parts = b"pagestate token", purpose.encode(), bytes([binding]), session.encode(), bytes([user_kind]), user.encode()
    info = b"".join(struct.pack(">I", len(p)) + p for p in parts)
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret)


def unpacker(data):
    u = msgpack.Unpacker(unicode_errors="surrogateescape", object_pairs_hook=list, strict_map_key=False, max_buffer_size=0)
    u.feed(data)
    return u


def pack(value):
    return msgpack.packb(value, unicode_errors="surrogateescape")


def array(parts):
    return msgpack.Packer().pack_array_header(len(parts)) + b"".join(parts)


class Table:
    """The types of one component: walk spells a value in JSON and in bytes."""

    def __init__(self, name, raw):
        self.name = name
        root, *structs = unpacker(raw).unpack()
        self.structs = [[(f[i], self.parse(f[i + 1])) for i in range(0, len(f), 2)] for f in structs]
        self.root = self.parse(root)

    def parse(self, signature):
        """Makes [letter, argument, part, part] of a signature."""
        text, at = signature.encode(errors="surrogateescape"), 0

        def take(pattern):
            nonlocal at
            m = re.compile(pattern, re.S).match(text, at)
            at = m.end()
            return m[1]

        def node(outer):
            nonlocal at
            c = take(rb"(.)").decode()
            if c == "^":
                return outer[-int(take(rb"(\d+);"))]
            if c in "<&":
                length = int(take(rb"(\d+):"))
                at += length
            if c == "T":
                take(rb"(.)")
                return ["s", None]
            if c == "v":
                take(rb"(\d+;)")
                return node(outer)
            n = [c, int(take(rb"(\d+)[;)}]")) if c in "Y({" else None]
            for _ in range({"*": 1, "[": 1, "(": 1, "m": 2, "&": 1, "@": 1}.get(c, 0)):
                n.append(node(outer + [n]))
            return n

        return node([])

    def walk(self, n, v, tables):
        c = n[0]
        if c == "{":
            values = [self.walk(f, x, tables) for (_, f), x in zip(self.structs[n[1]], v, strict=True)]
            return dict(zip((text(name) for name, _ in self.structs[n[1]]), (j for j, _ in values))), array([b for _, b in values])
        if v is None:
            return None, pack(None)
        if c == "&":
            return self.walk(n[2], v, tables)
        if c == "@":
            j, b = self.walk(n[2], v[1], tables)
            return [text(v[0]), j], array([pack(v[0]), b])
        if c == "*":
            if n[2][0] not in "*[my?&@":
                return self.walk(n[2], v, tables)
            j, b = self.walk(n[2], v[0], tables)
            return [j], array([b])
        if c in "[(":
            values = [self.walk(n[2], x, tables) for x in v]
            return [j for j, _ in values], array([b for _, b in values])
        if c == "m":
            entries = sorted(((self.walk(n[2], k, tables), self.walk(n[3], x, tables)) for k, x in v), key=lambda e: e[0][1])
            return [[k[0], x[0]] for k, x in entries], msgpack.Packer().pack_map_header(len(entries)) + b"".join(k[1] + x[1] for k, x in entries)
        if c == "?":
            name, (j, b) = self.held(*v, tables)
            return [name, j], array([pack(v[0]), b])
        if c in "fd":
            return number(v), b"\xca" + struct.pack(">f", v) if c == "f" else pack(float(v))
        if c in "FD":
            parts = [self.walk([c.lower()], x, tables) for x in v]
            return [j for j, _ in parts], array([b for _, b in parts])
        if c in "rg":
            return [integer(x) if isinstance(x, bytes) else x for x in v], pack(v)
        return {"z": integer, "a": address, "p": port, "x": prefix}.get(c, text)(v), pack(v)

    def held(self, number, v, tables):
        if number in BASIC:
            name, signature = BASIC[number]
            return name, self.walk(self.parse(signature), v, tables)
        t = tables[(number - 32) // 2]
        if number % 2 == 0:
            return t.name, t.walk(t.root, v, tables)
        pointer = t.root if t.root[0] == "&" else ["*", None, t.root]
        return "*" + t.name, t.walk(pointer, v, tables)


def number(f):
    return f if math.isfinite(f) else str(f)


def integer(b):
    return int.from_bytes(b[1:], "big") * (-1 if b[0] else 1)


def text(v):
    raw = v.encode(errors="surrogateescape") if isinstance(v, str) else v
    if not isinstance(raw, bytes):
        return v
    try:
        return raw.decode() if isinstance(v, str) else {"hex": raw.hex()}
    except UnicodeDecodeError:
        return {"hex": raw.hex()}


def address(b):
    if len(b) <= 4:
        return str(ipaddress.ip_address(b)) if b else ""
    ip = ipaddress.IPv6Address(b[:16])
    name = "::ffff:" + str(ip.ipv4_mapped) if ip.ipv4_mapped else str(ip)
    return name + ("%" + b[16:].decode() if b[16:] else "")


def port(b):
    ip = address(b[:-2])
    return ip and (f"[{ip}]" if ":" in ip else ip) + ":" + str(int.from_bytes(b[-2:], "little"))


def prefix(b):
    return "" if b[-1] == 255 else address(b[:-1]) + "/" + str(b[-1])


def open_token(key, token):
    """Returns the fields of the token, and what they were when written again."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+={0,2}", token) or base64.urlsafe_b64encode(base64.urlsafe_b64decode(token)).decode() != token:
        raise ValueError("not a token")
    fernet = Fernet(base64.urlsafe_b64encode(key))
    plain = fernet.decrypt(token.encode())
    if plain[0] != 1:
        raise ValueError("another format version")
    u = unpacker(plain[9:])
    v = {"last_sealed": fernet.extract_timestamp(token.encode()), "first_sealed": int.from_bytes(plain[1:9], "big")}
    for field in "component", "version", "child_key", "parent", "instance", "revision":
        v[field] = text(u.unpack())
    v["parent"], v["instance"] = v["parent"]["hex"], v["instance"]["hex"]
    if len(v["parent"]) not in (0, 32) or v["child_key"] and not v["parent"] or len(v["instance"]) != 32 or v["revision"] == 0:
        raise ValueError("a malformed envelope")
    start = 9 + u.tell()
    shapes = u.unpack()
    v["compressed"] = isinstance(shapes, bytes)
    if v["compressed"]:
        if 9 + u.tell() != len(plain):
            raise ValueError("more than compressed data")
        plain = plain[:start] + inflate(shapes)
        u = unpacker(plain[start:])
        shapes = u.unpack()
        end = start + u.tell()
    else:
        end = 9 + u.tell()
    v["shapes"], v["payload"] = plain[start:end].hex(), plain[end:].hex()
    tables = [Table(text(n), t) for n, t in zip([v["component"]] + shapes[1::2], shapes[::2], strict=True)]
    state = u.unpack()
    v["state"], _ = tables[0].walk(tables[0].root, state, tables)
    if seal(v, state, tables) != plain:
        raise ValueError("not in its one form")
    return v, state, tables


def inflate(compressed):
    d = zlib.decompressobj(-15)
    data = d.decompress(compressed, 192 << 10)
    if not d.eof or d.unused_data:
        raise ValueError("malformed compressed data, or too much of it")
    return data


def seal(v, state, tables):
    """Returns the plaintext of a token, which need not be compressed."""
    head = [v["component"], v["version"], v["child_key"], bytes.fromhex(v["parent"]), bytes.fromhex(v["instance"]), v["revision"]]
    return (b"\x01" + struct.pack(">Q", v["first_sealed"]) + b"".join(map(pack, head)) +
            bytes.fromhex(v["shapes"]) + tables[0].walk(tables[0].root, state, tables)[1])


def reseal(key, v, state, tables, changes):
    """Returns the next token of the instance, with some fields changed."""
    names = [name for name, _ in tables[0].structs[tables[0].root[1]]]
    for change in changes:
        name, value = change.split("=", 1)
        state[names.index(name)] = json.loads(value)
    plain = seal({**v, "revision": v["revision"] + 1}, state, tables)
    return Fernet(base64.urlsafe_b64encode(key)).encrypt_at_time(plain, int(time.time())).decode()


def check(path):
    vectors = json.load(open(path, encoding="utf-8"))
    for want in vectors:
        key = derive(bytes.fromhex(want["secret"]), *(want[f] for f in ("purpose", "binding", "session", "user_kind", "user")))
        got = {**want, "key": key.hex(), **open_token(key, want["token"])[0]}
        for field in want:
            if got[field] != want[field]:
                sys.exit(f"{want['name']}: {field} is\n{json.dumps(got[field])}\nand should be\n{json.dumps(want[field])}")
    print(f"{len(vectors)} tokens opened, and written again to the same bytes")


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("token", nargs="?")
    p.add_argument("--check", metavar="FILE", help="check all vectors of a file")
    p.add_argument("--secret-file", metavar="FILE", help="the secret, as it is")
    p.add_argument("--purpose", default="")
    p.add_argument("--binding", type=int, default=1, help="0 Unbound, 1 Session and Cookie, 2 SessionFunc")
    p.add_argument("--session", default="")
    p.add_argument("--user-kind", type=int, default=0, help="0 no User function, 1 anonymous, 2 named")
    p.add_argument("--user", default="")
    p.add_argument("--reseal", action="store_true", help="print the next token of the instance instead")
    p.add_argument("--set", action="append", default=[], metavar="FIELD=JSON", help="a field to change in it")
    a = p.parse_args()
    if a.check:
        return check(a.check)
    if not a.token or not a.secret_file:
        p.error("give a token and --secret-file, or --check")
    key = derive(open(a.secret_file, "rb").read(), a.purpose, a.binding, a.session, a.user_kind, a.user)
    v, state, tables = open_token(key, a.token)
    print(reseal(key, v, state, tables, a.set) if a.reseal else json.dumps(v, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
