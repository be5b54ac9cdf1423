"""Messages put together by hand, as no sound software makes them."""

import base64
import hashlib
import re

from asn1crypto import cms

from ssm import mime, smime

SIGNATURE = re.compile(rb'(filename="smime.p7s"\r?\n\r?\n)(.*?)(\r?\n\r?\n?------)', re.DOTALL)


def with_signature(message, change):
    """The message with its CMS structure changed: `change(SignedData) -> None`."""
    container = cms.ContentInfo.load(signature_of(message))
    change(container["content"])
    return put_signature(message, container.dump(force=True))


def signature_of(message):
    return base64.b64decode(SIGNATURE.search(message).group(2))


def put_signature(message, der):
    encoded = base64.encodebytes(der).rstrip()
    return SIGNATURE.sub(lambda match: match.group(1) + encoded + match.group(3), message)


def sign_part(host, part):
    """A message whose signed part is exactly `part`, headers included (LF)."""
    signer = host.signer()
    attributes = smime._attributes(hashlib.sha256(part.replace(b"\n", b"\r\n")).digest())
    return mime.wrap(part, signer._container(attributes, signer._signature(attributes)))
