"""Encryption: what we make OpenSSL opens, what it makes we open, and what is not for us is said to be so."""

import re

import pytest
from unit.ssm.conftest import TEXT, Host, openssl

from ssm import envelope, mime, smime
from ssm.container import ENVELOPED, open_container
from ssm.credentials import load_credentials
from ssm.envelope import CIPHERS, Decryptor, Encryptor
from ssm.errors import CryptoError, SigningError

SHAPES = ["SMIME", "DER", "PEM", "DER -stream"]
# `openssl smime` knows RSA only.
FORMS = [
    (command, shape) for command in (("rsa", "smime"), ("rsa", "cms"), ("ec", "cms")) for shape in SHAPES
]


@pytest.fixture(scope="module")
def receivers(pki):
    """One receiver with an RSA key, and one with an EC key."""
    return {kind: Host(*pki.issue(kind + ".centre.example.org", key=kind)) for kind in ("rsa", "ec")}


def own(*hosts):
    loaded = [load_credentials(host.certificate, host.key) for host in hosts]
    return Decryptor([(one.certificate, one.key) for one in loaded])


def encryptor(host, cipher="aes256"):
    loaded = load_credentials(host.certificate, host.key)
    return Encryptor(loaded.certificate, loaded.key.public_key(), cipher)


def opened(message, *hosts):
    return smime.verify(own(*hosts).open(message)).text


@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_openssl_decrypts_what_we_encrypt(host, receivers, kind, cipher):
    receiver, signed = receivers[kind], host.sign("Zoë\nx")
    message = encryptor(receiver, cipher).encrypt(signed)
    for command in ("cms", "smime")[: 1 + (kind == "rsa")]:
        found = openssl(
            command, "-decrypt", "-recip", receiver.certificate, "-inkey", receiver.key, given=message
        )
        assert found == signed.replace(b"\n", b"\r\n")
    assert opened(message, receiver) == "Zoë\nx"


@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize(("form", "shape"), FORMS)
def test_we_decrypt_what_openssl_encrypts(host, receivers, form, shape, cipher):
    kind, command = form
    words = ["-outform", *shape.split(), receivers[kind].certificate]
    message = openssl(command, "-encrypt", "-" + cipher, *words, given=host.sign())
    assert opened(message, receivers[kind]) == TEXT


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("rsa", ["rsa_padding_mode:oaep"]),
        ("rsa", ["rsa_padding_mode:oaep", "rsa_oaep_md:sha256"]),
        ("rsa", ["rsa_padding_mode:oaep", "rsa_oaep_md:sha512", "rsa_mgf1_md:sha1"]),
        ("ec", ["ecdh_kdf_md:sha256"]),
        ("ec", ["ecdh_kdf_md:sha512"]),
    ],
)
def test_other_ways_to_hide_the_key_are_read(host, receivers, kind, options):
    words = [word for option in options for word in ("-keyopt", option)]
    message = openssl(
        "cms", "-encrypt", "-aes256", "-recip", receivers[kind].certificate, *words, given=host.sign()
    )
    assert opened(message, receivers[kind]) == TEXT


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_receiver_may_be_named_by_its_key(host, receivers, kind):
    message = openssl("cms", "-encrypt", "-aes128", "-keyid", receivers[kind].certificate, given=host.sign())
    assert opened(message, receivers[kind]) == TEXT


def test_one_of_several_receivers_opens_it(host, receivers):
    """A message for two is opened by each, in any order, and by one who has several certificates."""
    both = [receivers["rsa"], receivers["ec"]]
    message = openssl(
        "cms", "-encrypt", "-aes256", *(receiver.certificate for receiver in both), given=host.sign()
    )
    for hosts in ([both[0]], [both[1]], both, both[::-1]):
        assert opened(message, *hosts) == TEXT


def test_layout_is_the_incumbents(host, receivers):
    message = encryptor(receivers["rsa"]).encrypt(host.sign())
    assert message.startswith(
        b'MIME-Version: 1.0\nContent-Disposition: attachment; filename="smime.p7m"\n'
        b'Content-Type: application/x-pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"\n'
        b"Content-Transfer-Encoding: base64\n\n"
    )
    assert re.search(rb"\n\n(?:[A-Za-z0-9+/=]{1,64}\n)+\n\Z", message)
    assert open_container(mime.container_of(message)).kind == ENVELOPED
    assert host.sign()[-100:] not in message


def test_opaque_signature_may_be_inside(host, receivers):
    signed = host.openssl_sign(TEXT, "-nodetach")
    assert opened(encryptor(receivers["rsa"]).encrypt(signed), receivers["rsa"]) == TEXT


@pytest.mark.parametrize("size", [*range(33), 5000000])
def test_any_size_comes_back(receivers, size):
    text = b"x" * size
    message = encryptor(receivers["ec"]).encrypt(text)
    assert own(receivers["ec"]).open(message) == text


def test_crlf_on_the_wire_is_no_trouble(host, receivers):
    message = encryptor(receivers["rsa"]).encrypt(host.sign()).replace(b"\n", b"\r\n")
    assert opened(message, receivers["rsa"]) == TEXT


def test_binary_transfer_is_read(host, receivers):
    data = mime.container_of(encryptor(receivers["rsa"]).encrypt(host.sign()))
    head = b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n"
    message = head + b"Content-Transfer-Encoding: binary\r\n\r\n" + data
    assert opened(message, receivers["rsa"]) == TEXT


@pytest.mark.parametrize("message", [b"", b"hello", b"\n\nx", b"\x30\x82garbage", b"-----BEGIN CMS-----\nx"])
def test_what_is_not_encrypted_stays_as_it_is(host, receivers, message):
    for unencrypted in (message, host.sign(), host.openssl_sign(TEXT, "-nodetach")):
        assert own(receivers["rsa"]).open(unencrypted) == unencrypted


# What can't be opened


@pytest.mark.parametrize(("sealed", "holder"), [("rsa", "ec"), ("ec", "rsa")])
def test_message_for_another_is_rejected(host, receivers, sealed, holder):
    message = encryptor(receivers[sealed]).encrypt(host.sign())
    with pytest.raises(CryptoError, match="encrypted for 1 others, not for our certificate"):
        own(receivers[holder]).open(message)
    with pytest.raises(CryptoError, match="no certificate and key to decrypt with"):
        own().open(message)


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_wrong_key_is_rejected(pki, host, receivers, kind):
    """The certificate is ours by name, but the key has changed."""
    message = encryptor(receivers[kind]).encrypt(host.sign())
    certificate = load_credentials(receivers[kind].certificate, receivers[kind].key).certificate
    for other in ("rsa", "ec"):
        key = load_credentials(*pki.issue("new.example.org", key=other)).key
        try:
            found = Decryptor([(certificate, key)]).open(message)
        except CryptoError as err:
            assert "can't be decrypted" in str(err)
            continue
        # OpenSSL may give a random key instead of an error, and one in 256 of these ends in good padding.
        with pytest.raises(CryptoError):
            smime.verify(found)


@pytest.mark.parametrize("cipher", ["-des3", "-camellia128"])
def test_other_ciphers_are_rejected(host, receivers, cipher):
    message = openssl("cms", "-encrypt", cipher, receivers["rsa"].certificate, given=host.sign())
    with pytest.raises(CryptoError, match="cipher is not accepted; encrypt with AES-256"):
        own(receivers["rsa"]).open(message)


@pytest.mark.parametrize("at", [0.3, 0.5, 0.9, 0.999])
def test_tampered_or_cut_message_is_rejected(host, receivers, at):
    """S3: what is changed under way is never taken for what was signed."""
    data = mime.container_of(encryptor(receivers["rsa"]).encrypt(host.sign()))
    place = int(at * len(data))
    for bad in (data[:place], data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :]):
        with pytest.raises(CryptoError):
            opened(bad, receivers["rsa"])


def test_encrypted_twice_is_rejected(host, receivers):
    once = encryptor(receivers["rsa"]).encrypt(host.sign())
    with pytest.raises(CryptoError, match="an encrypted message where a signature belongs"):
        opened(encryptor(receivers["rsa"]).encrypt(once), receivers["rsa"])


def test_encrypted_but_not_signed_is_rejected(receivers):
    """Encryption says nothing about who sent it."""
    with pytest.raises(CryptoError, match="no blank line|not a signed message"):
        opened(encryptor(receivers["rsa"]).encrypt(b"Content-Type: text/plain\n\nx"), receivers["rsa"])


@pytest.mark.parametrize("depth", [10, 2000000])
def test_message_made_to_exhaust_us_is_rejected(receivers, depth):
    """S3: endless nesting, and an octet string in a million pieces."""
    for data in (b"\x30\x80" * depth, b"\x30\x80" + b"\x04\x00" * depth + b"\x00\x00"):
        with pytest.raises(CryptoError):
            opened(data, receivers["rsa"])


def test_key_that_is_neither_rsa_nor_ec_is_said(host):
    der = load_credentials(host.certificate, host.key).certificate
    with pytest.raises(SigningError, match="neither RSA nor EC"):
        envelope.Encryptor(der, object())
