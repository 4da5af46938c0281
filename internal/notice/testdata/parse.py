"""Reads the report on standard input with python3's email package and prints what
it finds as JSON."""

import email
import email.policy
import json
import quopri
import sys


def fields(m):
    # Unfolded by hand: the policy "default" reads structured fields its own way.
    return {k: "".join(str(v).splitlines()) for k, v in m.raw_items()}


message = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
parts = list(message.iter_parts())
text, status, original = parts
blocks = [fields(b) for b in status.get_payload()]
if original.get_content_maintype() == "message":
    raw = original.get_payload(0).as_bytes()
else:
    raw = original.get_payload().encode()
if original["Content-Transfer-Encoding"] == "quoted-printable":
    raw = quopri.decodestring(raw)
print(json.dumps({
    "type": message.get_content_type(),
    "report": message.get_param("report-type"),
    "header": {k: str(v) for k, v in message.items()},
    "parts": [p.get_content_type() for p in parts],
    "text": text.get_content(),
    "message": blocks[0],
    "recipients": blocks[1:],
    "original": fields(email.message_from_bytes(raw)),
    "defects": [repr(d) for p in message.walk() for d in p.defects],
}))
