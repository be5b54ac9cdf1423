"""OpenSSL's verification of a certificate chain, through every pyOpenSSL since 19.0 (EL 8)."""

from typing import Any, List, NamedTuple

from cryptography import x509
from OpenSSL import crypto

from ssm.errors import TrustError


class ChainError(Exception):
    """The chain doesn't verify; the text is OpenSSL's reason and the certificate it is about."""


class Link(NamedTuple):
    """A certificate of a verified chain, and the hash of its name by which OpenSSL finds files about it."""

    certificate: x509.Certificate
    name_hash: str


class Rules(NamedTuple):
    """Where trust comes from, and what is asked beyond signatures and dates."""

    ca_directory: str
    check_crls: bool = False
    allow_proxies: bool = False


def verify_chain(certificate: x509.Certificate, others: List[x509.Certificate], rules: Rules) -> List[Link]:
    """Verify a certificate up to an authority in a hashed directory, with `others` to complete the chain.

    The chain, from the certificate to the root. Raises ChainError, or TrustError if OpenSSL can't use the
    directory.
    """
    store = _store(rules)
    try:
        known = [crypto.X509.from_cryptography(other) for other in others]
        context = _context(store, crypto.X509.from_cryptography(certificate), known)
        chain = context.get_verified_chain()
    except crypto.X509StoreContextError as err:
        raise ChainError(_reason(err)) from err
    except crypto.Error as err:  # OpenSSL is stricter than cryptography, which has read them all
        raise ChainError("OpenSSL can't read the certificate: %s" % _first_of(err)) from err
    return [Link(link.to_cryptography(), "%08x" % link.subject_name_hash()) for link in chain]


def _first_of(err: crypto.Error) -> str:
    """What OpenSSL says is wrong, of the stack of places where it was noticed."""
    stack = err.args[0] if err.args else []
    return str(stack[0][-1]) if stack else "no reason given"


def _store(rules: Rules) -> crypto.X509Store:
    store = crypto.X509Store()
    store = crypto.X509Store()
    try:
        if hasattr(store, "load_locations"):
            store.load_locations(None, rules.ca_directory)
        else:
            _load_locations(store, rules.ca_directory)
    except crypto.Error as err:
        raise TrustError("OpenSSL can't use the CA directory %s: %s" % (rules.ca_directory, err)) from err
    if rules.check_crls:
        store.set_flags(crypto.X509StoreFlags.CRL_CHECK | crypto.X509StoreFlags.CRL_CHECK_ALL)
    if rules.allow_proxies:
        store.set_flags(crypto.X509StoreFlags.ALLOW_PROXY_CERTS)
    return store


def _context(store: crypto.X509Store, certificate: crypto.X509, chain: List[crypto.X509]) -> Any:
    try:
        return crypto.X509StoreContext(store, certificate, chain)
    except TypeError:
        return _OldContext(store, certificate, chain)


def _reason(err: crypto.X509StoreContextError) -> str:
    # The first argument is [code, depth, text] before pyOpenSSL 22.1, and the text since.
    said = err.args[0]
    text = said[2] if isinstance(said, (list, tuple)) else said
    try:
        return "%s (%s)" % (text, err.certificate.to_cryptography().subject.rfc4514_string())
    except ValueError:
        return str(text)


# What pyOpenSSL has publicly since 20.0 only. Older ones no longer change, so their insides are safe to use.


def _load_locations(store: Any, ca_directory: str) -> None:
    library: Any = crypto._lib
    null = crypto._ffi.NULL
    if not library.X509_STORE_load_locations(store._store, null, ca_directory.encode()):
        raise TrustError("OpenSSL can't use the CA directory %s." % ca_directory)


class _OldContext(crypto.X509StoreContext):
    """A context with certificates to complete the chain, which can say what the chain is."""

    def __init__(self, store: Any, certificate: Any, chain: List[Any]) -> None:
        self._library: Any = crypto._lib
        stack = self._library.sk_X509_new_null()
        self._stack = crypto._ffi.gc(stack, self._library.sk_X509_free)
        self._members = chain  # the stack holds no reference of its own
        for member in chain:
            self._library.sk_X509_push(stack, member._x509)
        super().__init__(store, certificate)

    def _init(self) -> None:
        own: Any = self
        if (
            self._library.X509_STORE_CTX_init(own._store_ctx, own._store._store, own._cert._x509, self._stack)
            <= 0
        ):
            raise TrustError("OpenSSL can't begin to verify a certificate.")

    def get_verified_chain(self) -> List[crypto.X509]:
        own: Any = self
        own._cleanup()
        own._init()
        if self._library.X509_verify_cert(own._store_ctx) <= 0:
            error = own._exception_from_context()
            own._cleanup()
            raise error
        stack = self._library.X509_STORE_CTX_get1_chain(own._store_ctx)
        own._cleanup()
        make: Any = crypto.X509
        members = [
            make._from_raw_x509_ptr(self._library.sk_X509_value(stack, number))
            for number in range(self._library.sk_X509_num(stack))
        ]
        self._library.sk_X509_free(stack)
        return members
