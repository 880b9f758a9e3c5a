#!/usr/bin/env python3
"""An auditor of its own: checks a ledger's transparency log from its HTTP endpoints and its verifier key, with nothing but
Python's standard library. Prints what it found as one line of JSON, or what is wrong and exits with 1.

    verifier.py http://127.0.0.1:8080 NAME+ID+KEY [--token TOKEN] [--older checkpoint.txt] [--save checkpoint.txt]

Checks the checkpoint's signature (Ed25519, RFC 8032), the root over every record of the entry bundles (RFC 6962), every
tile of hashes, an inclusion proof of every record, one from /events/{position}/proof of some, and that the tree goes on
where the one of an older checkpoint ended."""

import argparse
import base64
import gzip
import hashlib
import json
import sys
import urllib.error
import urllib.request


class Wrong(Exception):
    pass


def check(condition, what):
    if not condition:
        raise Wrong(what)


# Ed25519: RFC 8032, 5.1.

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)


def recover_x(y, sign):
    if y >= P:
        return None
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    if x2 == 0:
        return None if sign else 0
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * ROOT_OF_MINUS_1 % P
    if (x * x - x2) % P:
        return None
    return P - x if x & 1 != sign else x


def add(a, b):
    (x1, y1, z1, t1), (x2, y2, z2, t2) = a, b
    e, f = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    g, h = 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(number, point):
    result = (0, 1, 1, 0)
    while number:
        if number & 1:
            result = add(result, point)
        point = add(point, point)
        number >>= 1
    return result


def point(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    x = recover_x(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE = (recover_x(BASE_Y, 0), BASE_Y, 1, recover_x(BASE_Y, 0) * BASE_Y % P)


def verifies(key, message, signature):
    if len(key) != 32 or len(signature) != 64:
        return False
    a, r = point(key), point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= ORDER:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ORDER
    left, right = times(s, BASE), add(r, times(k, a))
    same = lambda i: (left[i] * right[2] - right[i] * left[2]) % P == 0
    return same(0) and same(1)


# Signed notes and checkpoints: C2SP signed-note, tlog-checkpoint.


def parse_key(vkey):
    name, key_id, encoded = vkey.split("+", 2)
    data = base64.b64decode(encoded, validate=True)
    expected = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4].hex()
    check(key_id == expected and data[0] == 1, "the verifier key is damaged, or of another kind")
    return name, bytes.fromhex(key_id), data[1:]


def open_checkpoint(note, key):
    name, key_id, public = key
    text, separator, lines = note.rpartition("\n\n")
    check(separator and lines.endswith("\n"), "the checkpoint is no signed note")
    text += "\n"
    signed = False
    for line in lines.splitlines():
        dash, by, encoded = line.split(" ")
        data = base64.b64decode(encoded, validate=True)
        if dash == "—" and by == name and data[:4] == key_id:
            check(verifies(public, text.encode(), data[4:]), "the checkpoint's signature is wrong")
            signed = True
    check(signed, "the checkpoint is not signed with the key")
    origin, size, root = text.splitlines()[:3]
    check(origin == name, f"the checkpoint is of another log: {origin}")
    check(size == str(int(size)), "the checkpoint's size is misspelled")
    return int(size), base64.b64decode(root, validate=True)


# The tree: RFC 6962, 2.1; checking proofs as RFC 9162, 2.1.3.2 and 2.1.4.2, says.


def leaf_hash(record):
    return hashlib.sha256(b"\0" + record).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def split_at(count):
    return 1 << (count - 1).bit_length() - 1


def root_of(leaves):
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split_at(len(leaves))
    return node_hash(root_of(leaves[:k]), root_of(leaves[k:]))


def check_inclusion(index, size, leaf, path, root, what):
    check(index < size, f"{what}: beyond the tree")
    node, last, hashed = index, size - 1, leaf
    for sibling in path:
        check(last, f"{what}: the path is too long")
        if node & 1 or node == last:
            hashed = node_hash(sibling, hashed)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            hashed = node_hash(hashed, sibling)
        node, last = node >> 1, last >> 1
    check(last == 0 and hashed == root, f"{what}: the record is not in the tree")


def check_consistency(old, old_root, new, new_root, path):
    what = f"the tree of {new} does not go on where that of {old} ended"
    if old in (0, new):
        check(not path and (old == 0 or old_root == new_root), what)
        return
    check(old < new and path, what)
    path = list(path)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first, second = path[0], path[0]
    for hashed in path[1:]:
        check(last, what)
        if node & 1 or node == last:
            first, second = node_hash(hashed, first), node_hash(hashed, second)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, hashed)
        node, last = node >> 1, last >> 1
    check(last == 0 and first == old_root and second == new_root, what)


# The log as it is served: C2SP tlog-tiles.


class Log:
    def __init__(self, base, token):
        self.base, self.token = base, token
        self.tiles = {}

    def fetch(self, path, headers=None):
        request = urllib.request.Request(self.base + path, headers=headers or {})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                body = answer.read()
                return gzip.decompress(body) if answer.headers["Content-Encoding"] == "gzip" else body
        except urllib.error.HTTPError as error:
            raise Wrong(f"{path}: {error.code} {error.read(300).decode(errors='replace')}") from error

    def with_token(self, path):
        headers = {"Accept-Encoding": "gzip"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return self.fetch(path, headers)

    def name(self, number, width):
        text = f"{number % 1000:03}"
        while number >= 1000:
            number //= 1000
            text = f"x{number % 1000:03}/{text}"
        return text if width == 256 else f"{text}.p/{width}"

    def records(self, size):
        for number in range((size + 255) // 256):
            width = min(256, size - 256 * number)
            bundle = self.with_token(f"/tlog/tile/entries/{self.name(number, width)}")
            for _ in range(width):
                length = int.from_bytes(bundle[:2], "big")
                check(len(bundle) >= 2 + length, f"entry bundle {number} is cut short")
                yield bundle[2 : 2 + length]
                bundle = bundle[2 + length :]
            check(not bundle, f"entry bundle {number} has more than {width} records")

    def tile(self, size, level, number):
        width = min(256, (size >> 8 * level) - 256 * number)
        if (level, number) not in self.tiles:
            data = self.fetch(f"/tlog/tile/{level}/{self.name(number, width)}")
            check(len(data) == 32 * width, f"tile {level}/{number} has {len(data)} bytes")
            self.tiles[level, number] = [data[at : at + 32] for at in range(0, len(data), 32)]
        return self.tiles[level, number]

    def subtree(self, size, low, high):
        """The hash over the leaves from low to high, from tiles alone."""
        count = high - low
        if count & (count - 1) or low % count:
            k = split_at(count)
            return node_hash(self.subtree(size, low, low + k), self.subtree(size, low + k, high))
        level = (count.bit_length() - 1) // 8
        first, width = low >> 8 * level, count >> 8 * level
        hashes = self.tile(size, level, first // 256)[first % 256 : first % 256 + width]
        return root_of(hashes)

    def inclusion(self, size, index, low=0, high=None):
        high = size if high is None else high
        if high - low == 1:
            return []
        k = split_at(high - low)
        if index < low + k:
            return self.inclusion(size, index, low, low + k) + [self.subtree(size, low + k, high)]
        return self.inclusion(size, index, low + k, high) + [self.subtree(size, low, low + k)]


def check_proof_file(text, record, position, key):
    head, _, note = text.partition("\n\n")
    lines = head.split("\n")
    check(lines[0] == "c2sp.org/tlog-proof@v1", f"the proof of event {position} is none")
    check(base64.b64decode(lines[1].removeprefix("extra ")) == record, f"the proof of event {position} is of another")
    check(lines[2] == f"index {position - 1}", f"the proof of event {position} is of another place")
    size, root = open_checkpoint(note, key)
    path = [base64.b64decode(line, validate=True) for line in lines[3:]]
    check_inclusion(position - 1, size, leaf_hash(record), path, root, f"the proof of event {position}")


def audit(arguments):
    key = parse_key(arguments.key)
    log = Log(arguments.base.rstrip("/"), arguments.token)
    note = log.fetch("/tlog/checkpoint").decode()
    size, root = open_checkpoint(note, key)
    records = list(log.records(size))
    leaves = [leaf_hash(record) for record in records]
    check(root_of(leaves) == root, "the records are not those that were signed")
    for index, record in enumerate(records):
        said = json.loads(record)["position"]
        check(said == str(index + 1), f"the record at position {index + 1} says that it is at {said}")
        what = f"event {index + 1}"
        check_inclusion(index, size, leaves[index], log.inclusion(size, index), root, what)
    level = 1
    while size >> 8 * level:
        for number in range(((size >> 8 * level) + 255) // 256):
            for at, hashed in enumerate(log.tile(size, level, number)):
                low = (256 * number + at) << 8 * level
                expected = root_of(leaves[low : low + (1 << 8 * level)])
                check(hashed == expected, f"tile {level}/{number}: hash {at} is wrong")
        level += 1
    proven = sorted({1, (size + 1) // 2, size} - {0})
    for position in proven:
        proof = log.with_token(f"/events/{position}/proof").decode()
        check_proof_file(proof, records[position - 1], position, key)
    found = {"size": size, "root": base64.b64encode(root).decode(), "records": len(records), "proofs": len(proven)}
    if arguments.older:
        with open(arguments.older, encoding="utf-8") as file:
            older, older_root = open_checkpoint(file.read(), key)
        check(older <= size, f"the log has gone back from {older} to {size}")
        answer = json.loads(log.fetch(f"/tlog/consistency?from={older}&to={size}"))
        path = [base64.b64decode(text, validate=True) for text in answer["path"]]
        check_consistency(older, older_root, size, root, path)
        check(root_of(leaves[:older]) == older_root, f"the first {older} records are not those that were signed then")
        found["older"] = older
    if arguments.save:
        with open(arguments.save, "w", encoding="utf-8") as file:
            file.write(note)
    return found


def main():
    parser = argparse.ArgumentParser(description="Checks a ledger's transparency log.")
    parser.add_argument("base", help="the ledger's address")
    parser.add_argument("key", help="its verifier key")
    parser.add_argument("--token", help="for the records")
    parser.add_argument("--older", help="a checkpoint that was saved before")
    parser.add_argument("--save", help="where to save the checkpoint")
    try:
        print(json.dumps(audit(parser.parse_args())))
    except (Wrong, ValueError, KeyError, IndexError) as error:
        print(f"wrong: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
