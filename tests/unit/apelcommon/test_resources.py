"""Schemas and samples must be found from a checkout and from every kind of installation."""

import os

import pytest

from apelcommon import resources
from apelcommon.errors import ServiceError


def installed(monkeypatch, package_folder, *files):
    """Pretend that apelcommon lives in `package_folder`, and make the files."""
    for path in files:
        os.makedirs(os.path.dirname(str(path)), exist_ok=True)
        path.write_text("x")
    monkeypatch.setattr(resources, "__file__", str(package_folder / "apelcommon" / "resources.py"))


def test_schema_found_beside_the_checkout(monkeypatch, tmp_path):
    schema = tmp_path / "schemas" / "mysql" / "client.sql"
    installed(monkeypatch, tmp_path, schema, tmp_path / "setup.py")
    assert resources.schema_path("mysql", "client") == str(schema)


@pytest.mark.parametrize(
    "packages", ["lib/python3.6/site-packages", "local/lib/python3.11/dist-packages", "."]
)
def test_sample_found_below_the_prefix(monkeypatch, tmp_path, packages):
    sample = tmp_path / "share" / "apel" / "conf" / "client.cfg"
    installed(monkeypatch, tmp_path / packages, sample)
    assert resources.sample_path("client.cfg") == str(sample)


def test_a_folder_named_schemas_in_site_packages_is_not_taken_for_ours(monkeypatch, tmp_path):
    site_packages = tmp_path / "lib" / "python3.6" / "site-packages"
    installed(monkeypatch, site_packages, site_packages / "schemas" / "mysql" / "client.sql")
    with pytest.raises(ServiceError, match="schemas/mysql/client.sql"):
        resources.schema_path("mysql", "client")
