"""Verifies the DKIM signatures of the message on standard input, asking the name
server given as argument. Prints one JSON object per signature, top first."""

import json
import re
import sys

import dkim
import dns.exception
import dns.resolver

resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers = [sys.argv[1]]
resolver.lifetime = 120
resolver.retry_servfail = True  # a name server that was slow


def txt(name, timeout=5):
    try:
        answer = resolver.resolve(name.decode().rstrip(".") + ".", "TXT")
    except dns.exception.DNSException:
        return None
    return b"".join(answer[0].strings)


message = sys.stdin.buffer.read()
header = re.split(rb"\r?\n\r?\n", message, maxsplit=1)[0]
count = len(re.findall(rb"(?im)^dkim-signature:", header))
for i in range(count):
    d = dkim.DKIM(message)
    try:
        ok, error = bool(d.verify(idx=i, dnsfunc=txt)), ""
    except dkim.DKIMException as e:
        ok, error = False, str(e)
    tag = {k.decode(): v.decode() for k, v in (d.signature_fields or {}).items()}
    print(json.dumps({"ok": ok, "error": error, "domain": tag.get("d"), "selector": tag.get("s"), "algorithm": tag.get("a")}))
