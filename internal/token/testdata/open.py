#!/usr/bin/python3
"""Opens pagestate tokens, and seals them again, as docs/token.md says."""
import argparse, base64, ipaddress, json, math, re, struct, sys, time, zlib

import msgpack
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

sys.setrecursionlimit(1 << 20)  # a signature may be nested as deep as it is long

BASIC = dict(enumerate(zip(
    "bool int int8 int16 int32 int64 uint uint8 uint16 uint32 uint64 float32 float64 complex64 complex128 "
    "string []byte time.Time time.Duration []any map[string]any".split(),
    "b i c h w l I C H W L f d F D s y t l [? ms?".split())))

BITS = {"i": 64, "c": 8, "h": 16, "w": 32, "l": 64, "I": 64, "C": 8, "H": 16, "W": 32, "L": 64}
NILABLE = "*[my?&@"

# What a header begins with: the lengths that fit into the first byte, and the
# bytes in front of those of 1, 2, 4 and 8 bytes.
UINT = 0x00, 128, ((0xCC, 1), (0xCD, 2), (0xCE, 4), (0xCF, 8))
STR = 0xA0, 32, ((0xD9, 1), (0xDA, 2), (0xDB, 4))
BIN = 0x00, 0, ((0xC4, 1), (0xC5, 2), (0xC6, 4))
ARRAY = 0x90, 16, ((0xDC, 2), (0xDD, 4))
MAP = 0x80, 16, ((0xDE, 2), (0xDF, 4))


class Refused(Exception):
    pass


class Invalid(Refused):
    kind = "invalid"


class Outdated(Refused):
    kind = "outdated"


class Expired(Refused):
    kind = "expired"


class TooLarge(Refused):
    kind = "too large"


def derive(secret, purpose, binding, session, user_kind, user):
    parts = b"pagestate token", purpose.encode(), bytes([binding]), session.encode(), bytes([user_kind]), user.encode()
    info = b"".join(struct.pack(">I", len(p)) + p for p in parts)
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret)


class Reader:
    """Reads MessagePack in its one form. Each str is text with surrogate escapes."""

    def __init__(self, data):
        self.data, self.at, self.depth = data, 0, 0

    def left(self):
        return len(self.data) - self.at

    def peek(self):
        return self.data[self.at] if self.left() else 0xC1

    def take(self, n):
        if n > self.left():
            raise Invalid("cut short")
        self.at += n
        return self.data[self.at - n:self.at]

    def end(self):
        if self.left():
            raise Invalid("something follows")

    def header(self, kind):
        first, short, longer = kind
        c = self.take(1)[0]
        if first <= c < first + short:
            return c - first
        for lead, size in longer:
            if c == lead:
                n = int.from_bytes(self.take(size), "big")
                if n < short:
                    break
                return n
            short = 1 << 8 * size
        raise Invalid("another kind of value, or a longer form")

    def nil(self):
        if self.peek() != 0xC0:
            return False
        self.at += 1
        return True

    def bool(self):
        c = self.take(1)[0]
        if c not in (0xC2, 0xC3):
            raise Invalid("not a bool")
        return c == 0xC3

    def uint(self):
        return self.header(UINT)

    def int(self):
        c = self.peek()
        if c >= 0xE0:
            self.at += 1
            return c - 256
        if not 0xD0 <= c <= 0xD3:
            u = self.uint()
            if u >> 63:
                raise Invalid("a number that is too large for 64 bits and a sign")
            return u
        self.at += 1
        size = 1 << c - 0xD0
        i = int.from_bytes(self.take(size), "big", signed=True)
        if i >= (-32 if size == 1 else -1 << 4 * size - 1):
            raise Invalid("a longer form")
        return i

    def float(self, size):
        if self.take(1)[0] != (0xCA if size == 4 else 0xCB):
            raise Invalid("not a float of its size")
        raw = self.take(size)
        f = struct.unpack(">f" if size == 4 else ">d", raw)[0]
        if size == 4 and f != f and not raw[1] & 0x40:
            raise Invalid("a signalling NaN")
        return f

    def str(self):
        return self.take(self.header(STR)).decode(errors="surrogateescape")

    def bin(self):
        return self.take(self.header(BIN))

    def elements(self, kind, values=1):
        n = self.header(kind)
        if n > 1 << 20:
            raise TooLarge("too many elements")
        if n > self.left() // values:
            raise Invalid("more elements than bytes")
        return n

    def enter(self):
        if self.depth == 64:
            raise TooLarge("nested too deep")
        self.depth += 1

    def leave(self):
        self.depth -= 1

    def open(self, n):
        if self.header(ARRAY) != n:
            raise Invalid("an array of another length")
        self.enter()

    def skip(self):
        c = self.peek()
        if c <= 0x7F or 0xCC <= c <= 0xCF:
            self.uint()
        elif c >= 0xE0 or 0xD0 <= c <= 0xD3:
            self.int()
        elif 0x80 <= c <= 0x9F or 0xDC <= c <= 0xDF:
            kind, values = (MAP, 2) if c <= 0x8F or c >= 0xDE else (ARRAY, 1)
            n = self.elements(kind, values)
            self.enter()
            for _ in range(n * values):
                self.skip()
            self.leave()
        elif c <= 0xBF or 0xD9 <= c <= 0xDB:
            self.str()
        elif 0xC4 <= c <= 0xC6:
            self.bin()
        elif c in (0xCA, 0xCB):
            self.float(4 if c == 0xCA else 8)
        elif not self.nil():
            self.bool()


def pack(value):
    return msgpack.packb(value, unicode_errors="surrogateescape")


def array(parts):
    return msgpack.Packer().pack_array_header(len(parts)) + b"".join(parts)


class Table:
    """The types of one component: read reads a value, walk spells it in JSON and in bytes."""

    def __init__(self, name, raw):
        self.name, self.raw, self.met = name, raw, 0
        r = Reader(raw)
        n = r.elements(ARRAY)
        if n == 0:
            raise Invalid("a table without a type")
        root = r.str()
        structs = [self.names(r) for _ in range(n - 1)]
        r.end()
        self.count = len(structs)
        self.kinds = {}
        self.root_signature, self.root, self.structs = root, self.parse(root), []
        for i, f in enumerate(structs):
            if i == self.met:
                raise Invalid("a struct that nothing refers to")
            self.structs.append([(name, self.parse(signature), signature) for name, signature in zip(f[::2], f[1::2])])
            if not distinct(f[::2]):
                raise Invalid("a field twice, or without a name")

    def names(self, r):
        n = r.elements(ARRAY)
        if n % 2:
            raise Invalid("a field without a signature")
        return [r.str() for _ in range(n)]

    def parse(self, signature):
        """Makes [letter, argument, part, part] of a signature, and of what it says beside the numbers of structs a kind."""
        text, at = signature.encode(errors="surrogateescape"), 0
        kind, structs, cut = b"", [], 0

        def take(pattern):
            nonlocal at
            m = re.compile(pattern, re.S).match(text, at)
            if not m:
                raise Outdated("an unknown signature")
            at = m.end()
            return m[1]

        def number(end, least=0):
            n = int(take(rb"(0|[1-9]\d{0,18})" + end))
            if not least <= n < 1 << 63:
                raise Outdated("an unknown signature")
            return n

        def node(outer):
            nonlocal at, kind, cut
            c = take(rb"([bichwlICHWLfdFDsTyYtzrgapxn*[(m{?<&@v^])").decode()
            if c == "^":
                levels = number(rb";", 1)
                if levels > len(outer):
                    raise Outdated("an unknown signature")
                return outer[-levels]
            if c == "T":
                take(rb"([hacjsue])")
                return ["s", None]
            if c == "v":
                number(rb";", 1)
                take(rb"((?!v))")
                return node(outer)
            n = [c, None]
            if c in "<&":
                length = number(rb":", 1)
                n[1] = text[at:at + length]
                at += length
                if at > len(text):
                    raise Outdated("an unknown signature")
            elif c in "Y({":
                n[1] = number({"Y": rb";", "(": rb"\)", "{": rb"\}"}[c])
            if c == "{":
                kind, cut = kind + text[cut:at].rstrip(b"0123456789}"), at
                structs.append(n[1])
                if n[1] > self.met or n[1] >= self.count:
                    raise Invalid("a struct that is not there, or not in its place")
                self.met = max(self.met, n[1] + 1)
            for _ in range({"*": 1, "[": 1, "(": 1, "m": 2, "&": 1, "@": 1}.get(c, 0)):
                n.append(node(outer + [n]))
            return n

        n = node([])
        if at != len(text):
            raise Outdated("an unknown signature")
        self.kinds[signature] = kind + text[cut:], structs
        return n

    def read(self, n, r, tables):
        """Reads what walk writes."""
        c = n[0]
        if c in NILABLE and r.nil():
            return None
        if c == "b":
            return r.bool()
        if c in "ichwl":
            i = r.int()
            if not -1 << BITS[c] - 1 <= i < 1 << BITS[c] - 1:
                raise Invalid("a number too large for its type")
            return i
        if c in "ICHWL":
            i = r.uint()
            if i >> BITS[c]:
                raise Invalid("a number too large for its type")
            return i
        if c in "fd":
            return r.float(4 if c == "f" else 8)
        if c == "s":
            return r.str()
        if c in "yY<":
            b = r.bin()
            if c == "Y" and len(b) != n[1]:
                raise Invalid("bytes of another length")
            return b
        if c in "zapx":
            return {"z": check_integer, "a": check_address, "p": check_port, "x": check_prefix}[c](r.bin())
        if c in "FDtrgn":
            r.open({"F": 2, "D": 2, "t": 3, "r": 2, "g": 6, "n": 11}[c])
            v = {"F": read_complex, "D": read_complex, "t": read_time, "r": read_rational, "g": read_float, "n": read_url}[c](r, c)
            r.leave()
            return v
        if c == "*":
            if n[2][0] not in NILABLE:
                return self.read(n[2], r, tables)
            r.open(1)
            v = [self.read(n[2], r, tables)]
        elif c in "[(":
            length = n[1]
            if c == "[":
                length = r.elements(ARRAY)
                r.enter()
            else:
                r.open(length)
            v = [self.read(n[2], r, tables) for _ in range(length)]
        elif c == "m":
            v = self.read_map(n, r, tables)
        elif c == "{":
            v = self.read_struct(n[1], r, tables)
        elif c == "&":
            tables.references += 1
            if tables.references > 10000:
                raise TooLarge("too many references")
            v = self.read(n[2], r, tables)
            if self.is_zero(n[2], v):
                raise Invalid("a reference without a key")
            return v
        elif c == "@":
            r.open(2)
            v = [r.str(), self.read(n[2], r, tables)]
        else:  # ?
            r.open(2)
            number = r.uint()
            v = [number, self.read_held(number, r, tables)]
        r.leave()
        return v

    def read_map(self, n, r, tables):
        length = r.elements(MAP, 2)
        r.enter()
        v, last = [], b""
        for _ in range(length):
            start = r.at
            k = self.read(n[2], r, tables)
            encoded = r.data[start:r.at]
            if encoded <= last:
                raise Invalid("keys out of order")
            last = encoded
            if self.has_nan(n[2], k):
                raise Invalid("a NaN as a key")
            v.append((k, self.read(n[3], r, tables)))
        if len({repr(self.equal(n[2], k)) for k, _ in v}) != length:
            raise (Outdated if tables.changed(self) else Invalid)("two keys that are equal")
        return v

    def read_struct(self, i, r, tables):
        view = tables.views[self.name].get(i, range(len(self.structs[i])))
        r.open(len(view))
        v = [ABSENT] * len(self.structs[i])
        for place in view:
            if place is None:
                tables.skipped = True
                r.skip()
            else:
                v[place] = self.read(self.structs[i][place][1], r, tables)
        return v

    def read_held(self, number, r, tables):
        if number in BASIC:
            return self.read(self.parse(BASIC[number][1]), r, tables)
        t = tables.numbered(number)
        return t.read(t.held_type(number), r, tables)

    def held_type(self, number):
        return self.root if number % 2 == 0 or self.root[0] == "&" else ["*", None, self.root]

    def is_zero(self, n, v):
        if n[0] in "{(":
            return all(x is ABSENT or self.is_zero(t, x) for t, x in self.parts(n, v))
        if n[0] == "x":
            return v == b"\xff"
        if n[0] == "p":
            return v == b"\0\0"
        return not any(v) if n[0] == "Y" else not v

    def has_nan(self, n, v):
        if n[0] in "{(":
            return any(x is not ABSENT and self.has_nan(t, x) for t, x in self.parts(n, v))
        return n[0] in "fd" and v != v or n[0] in "FD" and any(x != x for x in v)

    def equal(self, n, v):
        """Makes the same of keys that are equal."""
        if n[0] in "{(":
            return [None if x is ABSENT else self.equal(t, x) for t, x in self.parts(n, v)]
        if n[0] in "FD":
            return [x + 0.0 for x in v]
        return v + 0.0 if n[0] in "fd" else v

    def parts(self, n, v):
        return [((self.structs[n[1]][i][1] if n[0] == "{" else n[2]), x) for i, x in enumerate(v)]

    def walk(self, n, v, tables):
        c = n[0]
        if c == "{":
            values = [(name, self.walk(f, x, tables)) for (name, f, _), x in zip(self.structs[n[1]], v, strict=True) if x is not ABSENT]
            return {text(name): j for name, (j, _) in values}, array([b for _, (_, b) in values])
        if v is None:
            return None, pack(None)
        if c == "&":
            return self.walk(n[2], v, tables)
        if c == "@":
            j, b = self.walk(n[2], v[1], tables)
            return [text(v[0]), j], array([pack(v[0]), b])
        if c == "*":
            if n[2][0] not in NILABLE:
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
        if c == "n":
            return [[text(y) for y in x] if isinstance(x, list) else text(x) for x in v], pack(v)
        return {"z": integer, "a": address, "p": port, "x": prefix}.get(c, text)(v), pack(v)

    def held(self, number, v, tables):
        if number in BASIC:
            name, signature = BASIC[number]
            return name, self.walk(self.parse(signature), v, tables)
        t = tables.of[(number - 32) // 2]
        return ("*" if number % 2 else "") + t.name, t.walk(t.held_type(number), v, tables)


ABSENT = object()  # stands for a field that the token does not have


def distinct(names):
    return "" not in names and len(set(names)) == len(names)


class Tables:
    """The tables of a token, and those of the reader if it has any: for each name
    its schema version and its table."""

    def __init__(self, component, r, registered):
        n = r.elements(ARRAY)
        if n % 2 == 0:
            raise Invalid("shapes without a type, or with one of no name")
        names, raw = [component], []
        for i in range(n):
            if i % 2:
                names.append(r.str())
            else:
                raw.append(r.bin())
        if not distinct(names):
            raise Invalid("a type twice, or without a name")
        self.of = [Table(name, b) for name, b in zip(names, raw)]
        self.registered, self.views = registered, {}
        self.met, self.skipped, self.references = 0, False, 0
        self.numbered(32)

    def numbered(self, number):
        """Returns the table of a type number, compared with the reader's own when it is first met."""
        i = (number - 32) // 2
        if number < 32 or i >= len(self.of) or i > self.met and not self.skipped:
            raise Invalid("an unknown type number")
        self.met = max(self.met, i + 1)
        t = self.of[i]
        if t.name in self.views:
            return t
        self.views[t.name] = {}
        if self.registered is None:
            return t
        if t.name not in self.registered:
            raise Outdated("a type that is not registered")
        own = self.registered[t.name][1]
        if own.raw != t.raw:
            self.views[t.name] = compare(t, own)
        self.of[i] = own
        return own

    def changed(self, t):
        return bool(self.views[t.name])

    def end(self):
        if self.met < len(self.of) and not self.skipped:
            raise Invalid("a type that nothing holds")


def compare(written, own):
    """Returns for each struct of own at which place the fields of written are now, None for those that are gone."""
    views, taken = {}, {}

    def match(w, o):
        (kind, structs), (own_kind, own_structs) = written.kinds[w], own.kinds[o]
        if kind != own_kind:
            raise Outdated("another kind")
        return list(zip(structs, own_structs))

    todo = match(written.root_signature, own.root_signature)
    while todo:
        w, o = todo.pop()
        if taken.setdefault(o, w) != w:
            raise Outdated("one struct for two")
        if o in views:
            continue
        fields = {name: (i, signature) for i, (name, _, signature) in enumerate(own.structs[o])}
        views[o] = [fields[name][0] if name in fields else None for name, _, _ in written.structs[w]]
        for name, _, signature in written.structs[w]:
            if name in fields:
                todo += match(signature, fields[name][1])
    return views


def read_complex(r, c):
    return [r.float(4 if c == "F" else 8) for _ in range(2)]


def read_time(r, _):
    seconds, nanoseconds = r.int(), r.uint()
    if nanoseconds >= 10**9:
        raise Invalid("more than a second of nanoseconds")
    if r.nil():
        return [seconds, nanoseconds, None]
    offset = r.int()
    if not -1 << 31 <= offset < 1 << 31:
        raise Invalid("an offset out of range")
    return [seconds, nanoseconds, offset]


def read_rational(r, _):
    v = [check_integer(r.bin()), check_integer(r.bin())]
    numerator, denominator = map(integer, v)
    if denominator <= 0 or math.gcd(numerator, denominator) != 1:
        raise Invalid("not in lowest terms")
    return v


def read_float(r, _):
    v = [r.uint(), r.uint(), r.bool(), r.bool(), r.int()]
    precision, mode, _, infinite, exponent = v
    if precision > 8192 or abs(exponent) > 1 << 16:
        raise TooLarge("a precision or an exponent over its limit")
    if mode > 5:
        raise Invalid("an unknown rounding mode")
    v.append(check_integer(r.bin()))
    mantissa = integer(v[5])
    if (infinite or mantissa == 0) and (mantissa or exponent):
        raise Invalid("a number that should be 0")
    if mantissa < 0 or mantissa and mantissa % 2 == 0 or mantissa.bit_length() > precision:
        raise Invalid("not the mantissa of its value")
    return v


def read_url(r, _):
    v, user = [r.str() for _ in range(8)], None
    if not r.nil():
        n = r.header(ARRAY)
        if n not in (1, 2):
            raise Invalid("a user of neither one nor two parts")
        r.enter()
        user = [r.str() for _ in range(n)]
        r.leave()
    return v + [user, r.bool(), r.bool()]


def check_integer(b):
    if len(b) > 1025:
        raise TooLarge("a number of too many bytes")
    if not b or b[0] > 1 or b[1:2] == b"\0" or b == b"\1":
        raise Invalid("not the one form of a number")
    return b


def check_address(b):
    if len(b) not in (0, 4) and len(b) < 16:
        raise Invalid("not an address")
    return b


def check_port(b):
    if len(b) < 2:
        raise Invalid("an address without a port")
    check_address(b[:-2])
    return b


def check_prefix(b):
    if len(b) not in (1, 5, 17) or b[-1] != 255 and (len(b) == 1 or b[-1] > 8 * (len(b) - 1)):
        raise Invalid("not a prefix")
    return b


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
    return name + ("%" + b[16:].decode(errors="backslashreplace") if b[16:] else "")


def port(b):
    ip = address(b[:-2])
    return "" if b == b"\0\0" else (f"[{ip}]" if ":" in ip else ip) + ":" + str(int.from_bytes(b[-2:], "little"))


def prefix(b):
    return "" if b == b"\xff" else address(b[:-1]) + "/" + ("" if b[-1] == 255 else str(b[-1]))


def decrypt(key, token):
    """Returns the plaintext and the time last sealed."""
    try:
        if not re.fullmatch(r"[A-Za-z0-9_-]+={0,2}", token) or base64.urlsafe_b64encode(base64.urlsafe_b64decode(token)).decode() != token:
            raise Invalid("not a token")
        fernet = Fernet(base64.urlsafe_b64encode(key))
        return fernet.decrypt(token.encode()), fernet.extract_timestamp(token.encode())
    except (ValueError, InvalidToken):
        raise Invalid("not a token of this owner")


def open_token(key, token, now, registered=None):
    """Returns the fields of the token, its state and its tables. registered are the
    reader's own types, for each name the schema version and the Table."""
    if len(token) > 256 << 10:
        raise TooLarge("too long a token")
    plain, last_sealed = decrypt(key, token)
    return {"last_sealed": last_sealed}, *open_plain(plain, last_sealed, now, registered)


def check_age(first_sealed, last_sealed, now):
    if last_sealed > now + 60 or first_sealed > last_sealed:
        raise Invalid("sealed in the future")
    if now - last_sealed > 24 * 3600 or now - first_sealed > 7 * 24 * 3600:
        raise Expired("sealed too long ago")


def open_plain(plain, last_sealed, now, registered=None):
    if len(plain) < 9:
        raise Invalid("cut short")
    if plain[0] != 1:
        raise Outdated("another format version")
    r = Reader(plain)
    r.at = 9
    v = {"first_sealed": int.from_bytes(plain[1:9], "big"), "component": r.str(), "version": r.uint(), "child_key": text(r.str())}
    v["parent"], v["instance"], v["revision"] = r.bin().hex(), r.bin().hex(), r.uint()
    if len(v["parent"]) != (32 if v["child_key"] else 0) or len(v["instance"]) != 32 or v["revision"] in (0, 2**64 - 1):
        raise Invalid("a malformed envelope")
    check_age(v["first_sealed"], last_sealed, now)
    if registered is not None and v["component"] not in registered:
        raise Invalid("a component that is not registered")
    if registered is not None and v["version"] != registered[v["component"]][0]:
        raise Outdated("another schema version")
    v["compressed"] = 0xC4 <= r.peek() <= 0xC6
    if v["compressed"]:
        start = r.at
        compressed = r.bin()
        r.end()
        r = Reader(plain[:start] + inflate(compressed))
        r.at = start
    start = r.at
    tables = Tables(v["component"], r, registered)
    end = r.at
    state = tables.of[0].read(tables.of[0].root, r, tables)
    r.end()
    tables.end()
    v["component"] = text(v["component"])
    v["shapes"], v["payload"] = r.data[start:end].hex(), r.data[end:].hex()
    v["state"], again = tables.of[0].walk(tables.of[0].root, state, tables)
    if registered is None and again != r.data[end:]:
        raise AssertionError("what was read is written in another way")
    return v, state, tables


def inflate(compressed):
    d, limit = zlib.decompressobj(-15), min(192 << 10, 64 * len(compressed))
    try:
        data = d.decompress(compressed, limit + 1)
    except zlib.error:
        raise Invalid("malformed compressed data")
    if len(data) > limit:
        raise TooLarge("too much compressed data")
    if not d.eof or d.unused_data:
        raise Invalid("compressed data that is cut short, or followed by something")
    return data


def seal(v, state, tables):
    """Returns the plaintext of a token, which need not be compressed."""
    head = [v["component"], v["version"], v["child_key"], bytes.fromhex(v["parent"]), bytes.fromhex(v["instance"]), v["revision"]]
    return (b"\x01" + struct.pack(">Q", v["first_sealed"]) + b"".join(map(pack, head)) +
            bytes.fromhex(v["shapes"]) + tables.of[0].walk(tables.of[0].root, state, tables)[1])


def reseal(key, v, state, tables, changes):
    """Returns the next token of the instance, with some fields changed."""
    names = [f[0] for f in tables.of[0].structs[tables.of[0].root[1]]]
    for change in changes:
        name, value = change.split("=", 1)
        state[names.index(name)] = json.loads(value)
    plain = seal({**v, "revision": v["revision"] + 1}, state, tables)
    return Fernet(base64.urlsafe_b64encode(key)).encrypt_at_time(plain, int(time.time())).decode()


def load(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def owner_key(want):
    return derive(bytes.fromhex(want["secret"]), *(want[f] for f in ("purpose", "binding", "session", "user_kind", "user")))


def check(path):
    vectors = load(path)
    for want in vectors:
        key = owner_key(want)
        times, v, state, tables = open_token(key, want["token"], want["last_sealed"])
        got = {**want, "key": key.hex(), **times, **v}
        for field in want:
            if got[field] != want[field]:
                sys.exit(f"{want['name']}: {field} is\n{json.dumps(got[field])}\nand should be\n{json.dumps(want[field])}")
    print(f"{len(vectors)} tokens opened, and written again to the same bytes")


def registry(types):
    return {name: (t["version"], Table(name, bytes.fromhex(t["table"]))) for name, t in types.items()}


def check_changed(path):
    """Checks tokens that a reader of other types opens or refuses."""
    file = load(path)
    registered = registry(file["types"])
    for want in file["tokens"]:
        try:
            got = "opened", open_token(owner_key(file), want["token"], file["now"], registered)[1]["state"]
        except Refused as e:
            got = e.kind, None
        if got != (want["result"], want.get("state")):
            sys.exit(f"{want['name']}: is\n{json.dumps(got)}\nand should be\n{want['result']} {json.dumps(want.get('state'))}")
    print(f"{len(file['tokens'])} tokens opened or refused as they should be")


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("token", nargs="?")
    p.add_argument("--check", metavar="FILE", help="check all vectors of a file")
    p.add_argument("--check-changed", metavar="FILE", help="check all tokens of a file that has the reader's types")
    p.add_argument("--secret-file", metavar="FILE", help="the secret, as it is")
    p.add_argument("--purpose", default="")
    p.add_argument("--binding", type=int, default=1, help="0 Unbound, 1 Session and Cookie, 2 SessionFunc")
    p.add_argument("--session", default="")
    p.add_argument("--user-kind", type=int, default=0, help="0 no User function, 1 anonymous, 2 named")
    p.add_argument("--user", default="")
    p.add_argument("--reseal", action="store_true", help="print the next token of the instance instead")
    p.add_argument("--set", action="append", default=[], metavar="FIELD=JSON", help="a field to change in it")
    a = p.parse_args()
    if a.check or a.check_changed:
        return check(a.check) if a.check else check_changed(a.check_changed)
    if not a.token or not a.secret_file:
        p.error("give a token and --secret-file, or a file to check")
    with open(a.secret_file, "rb") as f:
        key = derive(f.read(), a.purpose, a.binding, a.session, a.user_kind, a.user)
    try:
        times, v, state, tables = open_token(key, a.token, int(time.time()))
    except Refused as e:
        sys.exit(f"{e.kind}: {e}")
    print(reseal(key, v, state, tables, a.set) if a.reseal else json.dumps({**times, **v}, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
