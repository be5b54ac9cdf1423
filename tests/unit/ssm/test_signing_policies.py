"""Signing policies: for whom an authority may sign, though it is trusted."""

import os

import pytest

import servers.pki as test_pki
from servers.pki import der
from ssm.errors import CryptoError, TrustError
from ssm.trust import TrustStore

POLICY = """# EACL
access_id_CA   X509    '%s'
pos_rights     globus  CA:sign
cond_subjects  globus  '"/C=XX/O=Test Grid/*"  "/DC=org/DC=example/CN=h?st"'
"""


@pytest.mark.parametrize(
    ("rdns", "allowed"),
    [
        ([("C", "XX"), ("O", "Test Grid"), ("CN", "a.example.org")], True),
        ([("DC", "org"), ("DC", "example"), ("CN", "host")], True),
        ([("DC", "org"), ("DC", "example"), ("CN", "hoost")], False),
        ([("C", "XX"), ("O", "Test Grid 2"), ("CN", "a.example.org")], False),
        ([("O", "x"), ("C", "XX"), ("O", "Test Grid"), ("CN", "a")], False),
        ([("C", "xx"), ("O", "Test Grid"), ("CN", "a")], False),
    ],
)
@pytest.mark.parametrize("old", [False, True], ids=["hash", "old hash"])
def test_signing_policy_limits_whom_an_authority_signs_for(revoking, rdns, allowed, old):
    """S2: the authority is trusted, but not for this name."""
    authority, folder = revoking
    certificate = der(authority.issue("", rdns=rdns)[0])
    assert TrustStore(folder).check(certificate), "without a policy any name is good"
    path = os.path.join(folder, test_pki.name_hash(authority.path, old) + ".signing_policy")
    with open(path, "w") as stream:
        stream.write(POLICY % test_pki.slash_dn(authority.path))
    if allowed:
        assert TrustStore(folder).check(certificate)
    else:
        with pytest.raises(
            CryptoError, match="signing policy of .*CN=Revoking CA does not let it sign for /"
        ):
            TrustStore(folder).check(certificate)


@pytest.mark.parametrize(
    "policy",
    [
        "",
        "no policy at all",
        POLICY % "/C=XX/O=Test Grid/CN=Other CA",
        (POLICY % "/C=XX/O=Test Grid/CN=Revoking CA").replace("pos_rights", "neg_rights"),
        (POLICY % "/C=XX/O=Test Grid/CN=Revoking CA").replace("CA:sign", "CA:none"),
        (POLICY % "/C=XX/O=Test Grid/CN=Revoking CA").replace("cond_subjects", "#"),
    ],
    ids=["empty", "garbage", "of another", "negative", "other right", "no subjects"],
)
def test_policy_that_allows_nothing_means_nobody(revoking, policy):
    """S2: a policy is there, so it counts."""
    authority, folder = revoking
    with open(os.path.join(folder, test_pki.name_hash(authority.path) + ".signing_policy"), "w") as stream:
        stream.write(policy)
    with pytest.raises(CryptoError, match="signing policy"):
        TrustStore(folder).check(der(authority.issue("host.example.org")[0]))


def test_policy_of_an_authority_with_an_old_name_for_e_mail(new_authority, tmp_path):
    """S15: Globus writes /Email= and /E= where OpenSSL writes /emailAddress=; several blocks in a file."""
    policy = (
        POLICY % "/CN=Other"
        + POLICY.replace("Test Grid/*", "Test Grid/CN=*/Email=*") % "/C=XX/O=Test Grid/CN=Mail CA"
    )
    authority, folder = new_authority("Mail CA"), str(tmp_path)
    test_pki.trust(folder, authority)
    with open(os.path.join(folder, test_pki.name_hash(authority.path) + ".signing_policy"), "w") as stream:
        stream.write(policy)
    assert TrustStore(folder).check(der(authority.issue("host.example.org", email="a@b.org")[0]))
    with pytest.raises(CryptoError, match="signing policy"):
        TrustStore(folder).check(der(authority.issue("host.example.org")[0]))


def test_policy_that_can_not_be_read_is_no_verdict(revoking):
    """Our own trouble: the message waits."""
    authority, folder = revoking
    os.mkdir(os.path.join(folder, test_pki.name_hash(authority.path) + ".signing_policy"))
    with pytest.raises(TrustError, match="Cannot read the signing policy"):
        TrustStore(folder).check(der(authority.issue("host.example.org")[0]))
