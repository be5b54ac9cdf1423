"""S3: mutated messages through decryption, verification and trust: no exception but CryptoError, memory flat.

APEL_TEST_FUZZ_MESSAGES sets how many: 500000 before a release.
"""

import multiprocessing
import os

import fuzzing
from fuzzing import Sample, World

from servers.oddpki import Pair, sign
from ssm.credentials import load_credentials
from ssm.envelope import Encryptor
from ssm.mime import container_of

COUNT = int(os.environ.get("APEL_TEST_FUZZ_MESSAGES", "100000"))
WORKERS = 2
MOST_GROWTH_KB = 20000
TEXT = "Site: Zoë\nLocalJobId: 1\n%%"
JSON = '{"Type": "APEL-accelerator-message", "UsageRecords": [\n{"SiteName": "Zoë"}\n]}'


def clear_signed(name, message):
    """A clear-signed message, taken apart round its signature."""
    mark = b'filename="smime.p7s"'
    head, rest = message.split(mark)
    body, boundary, end = rest.rpartition(b"\n------") if rest.count(b"\n------") else (rest, b"", b"")
    blank, _, encoded = body.partition(b"\n\n")
    return Sample(name, head + mark + blank + b"\n\n", base64_of(encoded), b"\n" + boundary + end, True)


def base64_of(text):
    return fuzzing.base64.b64decode(text)


def whole(name, message, in_base64=False):
    """A message that is one structure."""
    der = container_of(message)
    head = b"Content-Type: application/x-pkcs7-mime\nContent-Transfer-Encoding: base64\n\n"
    return Sample(name, head if in_base64 else b"", der, b"", in_base64)


def build_world(pki, folder):
    rsa, ec = (Pair(*pki.issue("host.example.org", key=kind)) for kind in ("rsa", "ec"))
    deep = Pair(*pki.intermediate.issue("deep.example.org"))
    centres = [pki.issue("centre.example.org", key=kind) for kind in ("rsa", "ec")]
    signers = [load_credentials(*pair) for pair in (rsa, ec, deep)]
    signed = signers[0].signer().sign(TEXT.encode("utf-8"))
    hidden = []
    for number, paths in enumerate(centres):
        own = load_credentials(*paths)
        hidden.append(
            whole("encrypted", Encryptor(own.certificate, own.key.public_key()).encrypt(signed), number == 0)
        )
    samples = [
        clear_signed("ours", signed),
        clear_signed("openssl's", sign(rsa, TEXT)),
        clear_signed("JSON", signers[0].signer().sign(JSON.encode("utf-8"))),
        clear_signed("EC", signers[1].signer().sign(TEXT.encode("utf-8"))),
        clear_signed("named by key", sign(rsa, TEXT, "-keyid", command="cms")),
        clear_signed("with a chain", sign(deep, TEXT, certfile=pki.intermediate.path)),
        whole("opaque", sign(rsa, TEXT, "-nodetach", "-outform", "DER")),
        whole("opaque, S/MIME", sign(ec, TEXT, "-nodetach", "-outform", "DER", command="cms"), True),
        *hidden,
    ]
    return World(samples, centres, pki.ca_dir, [TEXT, JSON], [one.certificate for one in signers])


def test_mutated_messages_raise_crypto_errors_only_and_memory_stays_flat(pki, tmp_path):
    """S3: whatever a message is, it is what was signed or it is rejected; it costs nothing that stays."""
    world = build_world(pki, str(tmp_path))
    for sample in world.samples:
        assert fuzzing.Judge(world).judge(sample.around(sample.der)), sample.name
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        work = [(world, seed, COUNT // WORKERS) for seed in range(WORKERS)]
        reports = pool.starmap(fuzzing.run, work)
    for report in reports:
        assert not report.failure, report.failure
    for report in reports:
        assert report.count == COUNT // WORKERS
        assert 0 < report.accepted < report.count / 4, "mutations that change nothing test nothing"
        assert report.late_kb - report.early_kb < MOST_GROWTH_KB
