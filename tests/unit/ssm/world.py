"""A world of certificates, good and odd, with messages signed by them, and receivers that trust some."""

import os
import re
import shutil

from asn1crypto import cms, pem
from asn1crypto import x509 as asn1_x509
from unit.ssm.conftest import openssl
from unit.ssm.handmade import put_signature, sign_part, signature_of, with_signature

import servers.pki as test_pki
from servers import oddpki
from servers.oddpki import AUTHORITY, Pair, sign
from servers.pki import der
from ssm import smime
from ssm.banned import BannedSigners
from ssm.credentials import load_credentials
from ssm.dn import canonical
from ssm.envelope import Decryptor, Encryptor
from ssm.receiver import Receiver
from ssm.trust import TrustStore

TEXT = "APEL-summary-job-message: v0.2\nSite: Zoë\n%%"
ORG = [("C", "XX"), ("O", "Test Grid")]
CURVES = ("P-192", "P-224", "P-256", "P-384", "P-521")
EC = {curve: ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:" + curve) for curve in CURVES}
DATA = os.path.join(os.path.dirname(__file__), "..", "..", "data", "ssm")
POLICY = "access_id_CA X509 '%s'\npos_rights globus CA:sign\ncond_subjects globus '\"/C=XX/O=Test Grid/*\"'\n"


class World:
    """Certificates of every kind, made when a row first asks for them, and the receivers."""

    def __init__(self, pki, folder):
        self.pki, self.folder = pki, folder
        self.root = oddpki.as_pair(pki.root)
        self._made = {}
        self.centre = load_credentials(*pki.issue("centre.example.org"))
        self.ec_centre = load_credentials(*pki.issue("ec.centre.example.org", key="ec"))
        self.allowed, self.banned = set(), os.path.join(folder, "banned")
        with open(self.banned, "w") as stream:
            stream.write("CN=banned.example.org,O=Test Grid,C=XX\n")

    def once(self, name, make):
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    def path(self, name):
        return os.path.join(self.folder, name)

    # Signers

    def host(self, cn="host.example.org", listed=True, authority=None, **options):
        """A certificate of a sound authority, which may be out of its dates or have an odd name."""
        name = "%s %s %s" % (cn, options, authority)
        pair = self.once(name, lambda: Pair(*(authority or self.pki).issue(cn, **options)))
        if listed:
            self.allowed.add(canonical(test_pki.slash_dn(pair.certificate)))
        return pair

    def odd(self, cn, signer=None, **options):
        """A certificate that no sound authority would make."""
        pair = self.once(cn, lambda: oddpki.issue(signer or self.root, self.path(cn), **options))
        self.allowed.add(test_pki.slash_dn(pair.certificate))
        return pair

    def middle(self, cn="middle", signer=None, extensions=AUTHORITY, **options):
        """An intermediate authority."""
        return self.odd(cn, signer, extensions=extensions, **options)

    def below(self, cn, *middles):
        """A host below intermediate authorities (the last one signed it), and a file with these."""
        bundle = self.path(cn + ".chain")
        with open(bundle, "wb") as stream:
            for middle in middles:
                stream.write(test_pki.pem(test_pki.load(middle.certificate)))
        return self.odd(cn, middles[-1]), bundle

    def sign_below(self, cn, *middles):
        host, bundle = self.below(cn, *middles)
        return sign(host, TEXT, certfile=bundle)

    def stored_key(self, bits):
        """A certificate of a key that takes too long to make."""
        key = ("-key", os.path.join(DATA, "rsa%d.key" % bits))
        made = self.odd("rsa%d" % bits, key=key)
        return Pair(made.certificate, key[1])

    def proxy(self):
        return self.once("proxy", lambda: oddpki.proxy(self.host(), self.path("proxy")))

    def ed25519(self):
        return self.odd("ed25519", key=("-newkey", "ed25519"))

    # Messages

    def ours(self, text=TEXT, pair=None):
        """Signed by this software."""
        return load_credentials(*(pair or self.host())).signer().sign(text.encode("utf-8"))

    def part(self, part):
        """A signed part that is exactly these bytes."""
        pair = self.host()
        return sign_part(load_credentials(*pair), part)

    def hide(self, message, centre=None, **options):
        """Encrypted by this software."""
        own = centre or self.centre
        return Encryptor(own.certificate, own.key.public_key(), **options).encrypt(message)

    def openssl_hide(self, message, *words, key="rsa", command="cms"):
        own = self.centre if key == "rsa" else self.ec_centre
        path = self.path("centre-%s.pem" % key)
        with open(path, "wb") as stream:
            stream.write(pem.armor("CERTIFICATE", own.certificate))
        return openssl(command, "-encrypt", *words, path, given=message)

    # Receivers

    def receiver(self, kind, base):
        crls = kind not in ("plain", "proxies", "policy", "no policy")
        trust = TrustStore(self.ca_dir(kind), crls, kind == "proxies")
        own = [(one.certificate, one.key) for one in (self.centre, self.ec_centre)]
        banned = BannedSigners(self.banned, 100)
        return Receiver(base, trust, frozenset(self.allowed), Decryptor(own), banned)

    def ca_dir(self, kind):
        return self.once("ca " + kind, lambda: self._make_ca_dir(kind))

    def _make_ca_dir(self, kind):
        if kind in ("plain", "proxies"):
            return self.pki.ca_dir
        folder, root = self.path("ca " + kind), self.pki.root
        shutil.copytree(self.pki.ca_dir, folder)
        stem = os.path.join(folder, test_pki.name_hash(root.path))
        if kind.endswith("policy"):
            allowed = root.path if kind == "policy" else self.pki.foreign.path
            write(stem + ".signing_policy", (POLICY % test_pki.slash_dn(allowed)).encode())
        elif kind == "missing crl":
            os.unlink(stem + ".r0")
        elif kind in ("stale crl", "future crl"):
            write(stem + ".r0", root.crl(days=(-30, -1) if kind == "stale crl" else (1, 30)))
        elif kind == "forged crl":
            forger = test_pki.Authority(self.path("forger"), "Test Root CA")
            write(stem + ".r0", forger.crl())
        elif kind == "broken crl":
            write(stem + ".r0", b"no list")
        elif kind == "revoked":
            self._revoke(root, self.host("revoked.example.org").certificate, stem)
        elif kind == "revoked middle":
            self._revoke(root, self.pki.intermediate.path, stem)
        elif kind == "middle crl":
            middle = self.pki.intermediate
            write(os.path.join(folder, test_pki.name_hash(middle.path) + ".r0"), middle.crl())
        return folder

    def _revoke(self, authority, certificate, stem):
        """A list with one certificate on it; the authority forgets it again."""
        authority.revoke(certificate)
        write(stem + ".r0", authority.crl())
        authority._revoked.pop()


def write(path, data):
    with open(path, "wb") as stream:
        stream.write(data)


def inside(w):
    """S3: something between the parts that no signature covers."""
    message = w.ours()
    boundary = re.search(b'boundary="([^"]+)"', message).group(1)
    part = b"--" + boundary + b"\nContent-Type: text/plain\n\nSite: Evil\n"
    return message.replace(b"--" + boundary, part + b"--" + boundary, 1)


def with_content(w):
    def change(signed):
        signed["encap_content_info"] = cms.ContentInfo({"content_type": "data", "content": b"Site: Evil"})

    return with_signature(w.ours(), change)


def without_signers(w):
    def change(signed):
        signed["signer_infos"] = []

    return with_signature(w.ours(), change)


def another_certificate(w):
    """S1: beside the signature lies another's certificate, not the signer's."""

    def change(signed):
        other = asn1_x509.Certificate.load(der(w.host("other.example.org").certificate))
        signed["certificates"] = cms.CertificateSet([cms.CertificateChoices({"certificate": other})])

    return with_signature(w.ours(), change)


def self_signed(w):
    pair = w.once("alone", lambda: oddpki.self_signed(w.path("alone")))
    w.allowed.add(test_pki.slash_dn(pair.certificate))
    return pair


def usage(w, extensions, cn):
    return sign(w.odd(cn, extensions=extensions), TEXT)


def opaque(w, *words, command="smime"):
    return sign(w.host(), TEXT, "-nodetach", *words, command=command)


def two_signers(w):
    first, second = w.host(), w.host("other.example.org")
    return sign(first, TEXT, "-signer", second.certificate, "-inkey", second.key)


def unlisted(w):
    return w.host("unlisted.example.org", listed=False)


def flip(message, at):
    """One bit changed, at a share of the length."""
    place = int(at * len(message))
    return message[:place] + bytes((message[place] ^ 1,)) + message[place + 1 :]


def signature_byte(w):
    """The last byte of the signature itself."""
    message = w.ours()
    der = signature_of(message)
    return put_signature(message, der[:-1] + bytes((der[-1] ^ 1,)))


def named(*rdns):
    return lambda w: sign(w.host("", rdns=[*ORG, *rdns]), TEXT)


def in_the_name_of(w, pair):
    """S1: signed with the host's key, but with another's certificate and name."""
    own = load_credentials(*w.host())
    return smime.Signer(der(pair.certificate), own.key).sign(TEXT.encode("utf-8"))


def odd_order(w):
    """Two intermediates, the last one first."""
    middles = [w.middle(), w.middle("second", w.middle())]
    bundle = w.path("reversed.chain")
    write(bundle, b"".join(test_pki.pem(test_pki.load(one.certificate)) for one in reversed(middles)))
    return sign(w.below("below two", *middles)[0], TEXT, certfile=bundle)


def too_many_below(w):
    """An authority that may have none below it has one."""
    short = w.middle("short", extensions=AUTHORITY.replace("TRUE", "TRUE,pathlen:0"))
    return w.sign_below("below short", short, w.middle("under short", short))


def below_intermediate(w):
    """A host below the intermediate authority, which comes along."""
    host = w.host("deep.example.org", authority=w.pki.intermediate)
    return sign(host, TEXT, certfile=w.pki.intermediate.path)
