"""S3: a message of 100 MB costs what ten of 10 MB cost: no copy more, nothing that grows with the square."""

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MEGABYTE = 1000000
#: Sealing holds the text, its signed form, the ciphertext and its base64 at once, and each of them once more.
MOST_COPIES = 11

WORK = """
import resource, sys
from ssm import smime
from ssm.credentials import load_credentials
from ssm.envelope import Decryptor, Encryptor

certificate, key, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
own = load_credentials(certificate, key)
text = b"Site: EXAMPLE-NORTH\\nLocalJobId: 7731204\\nWallDuration: 3600\\n%%\\n"
text = (text * (size // len(text) + 1))[:size]
message = own.signer().sign(text)
message = Encryptor(own.certificate, own.key.public_key()).encrypt(message)
message = Decryptor([(own.certificate, own.key)]).open(message)
assert smime.verify(message).text == text.decode().strip()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def peak_memory(host, size):
    """The most memory (bytes) that a process has that seals a text of that size, and opens it again."""
    done = subprocess.run(
        [sys.executable, "-c", WORK, *host, str(size)], cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    return int(done.stdout)


def test_large_message_is_sealed_and_opened_with_few_copies(pki):
    """S3: signed, encrypted, decrypted and verified; the text comes back."""
    host = pki.issue("host.example.org")
    small, large = (peak_memory(host, size * MEGABYTE) for size in (10, 100))
    assert large - small < MOST_COPIES * 90 * MEGABYTE
