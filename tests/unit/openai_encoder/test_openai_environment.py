"""What the environment says of proxies, certificates and keys: obeyed, or refused by the name of the variable."""

from __future__ import annotations

import sys

import pytest

from revector.encoders.service.client import RetryPolicy
from revector.encoders.service.openai import OpenAIEncoder
from revector.errors import InvalidArgumentError, ServiceError
from services import TEXTS, assert_rows

SECRET = "hunter2-of-the-proxy"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:1080", r"SOCKS proxy, which .*: pip install 'httpx2\[socks\]'"),
        ("https_proxy", f"socks5h://me:{SECRET}@host:1080", "SOCKS proxy"),
        ("HTTPS_PROXY", f"ftp://me:{SECRET}@host", "is not the address of a proxy"),
        ("HTTP_PROXY", f"http://me:{SECRET}@host:port", "is not the address of a proxy"),
        ("SSL_CERT_FILE", "/nowhere/ca.pem", "is '/nowhere/ca.pem', which holds no certificates"),
        ("SSL_CERT_FILE", __file__, "holds no certificates"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named_and_its_password_is_not(monkeypatch, name, value, problem):
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidArgumentError, match=f"^the environment's {name} .*{problem}") as error:
        OpenAIEncoder("m", base_url="http://localhost:1/v1")
    assert SECRET not in f"{error.value!r} {error.value.__cause__!r} {error.value.__context__!r}"


def test_a_proxy_that_is_not_there_is_named(encoder, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://me:{SECRET}@127.0.0.1:1")
    with pytest.raises(ServiceError, match=r"cannot be reached: .*environment's HTTP_PROXY") as error:
        encoder(retries=RetryPolicy(attempts=1)).encode(["a"])
    assert SECRET not in str(error.value)


def test_a_service_that_needs_no_proxy_is_asked_without(encoder, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert_rows(encoder().encode(TEXTS), TEXTS)


@pytest.mark.parametrize("value", ["sk-1234\n5678", " \n"])
def test_a_key_of_the_environment_that_cannot_be_sent_is_refused_by_its_name(monkeypatch, value):
    monkeypatch.setenv("OPENAI_API_KEY", value)
    with pytest.raises(InvalidArgumentError, match=r"^the environment's OPENAI_API_KEY holds") as error:
        OpenAIEncoder("m")
    assert "5678" not in str(error.value)


def test_an_address_of_the_environment_that_cannot_be_used_is_refused_by_its_name(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", f"https://me:{SECRET}@host/v1")
    with pytest.raises(InvalidArgumentError, match=r"^the environment's OPENAI_BASE_URL holds a user") as error:
        OpenAIEncoder("m")
    assert SECRET not in str(error.value)
