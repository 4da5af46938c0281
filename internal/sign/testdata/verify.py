# Verifies every DKIM signature of the messages it is given, one after another on
# standard input, each as a line of JSON: {"message": base64, "records": {name: TXT}}.
# Answers each with a line of JSON: a list with true or an error per signature.
import base64
import json
import sys

import dkim


def verify(message, records):
    def txt(name, timeout=5):
        return records.get(name.decode().rstrip(".").lower(), "").encode()

    signatures = sum(
        1 for name, _ in dkim.rfc822_parse(message)[0]
        if name.lower() == b"dkim-signature")
    answers = []
    for i in range(signatures):
        try:
            answers.append(dkim.DKIM(message).verify(idx=i, dnsfunc=txt) or "does not verify")
        except Exception as error:
            answers.append(repr(error))
    return answers


for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps(verify(base64.b64decode(request["message"]), request["records"])), flush=True)
