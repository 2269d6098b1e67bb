"""The local certificate authority: what lets a phone open the relay's pages over https, and so use its camera."""

from certs.authority import Authority, AuthorityError, Served
from certs.check import check
from certs.own import OwnCertificate

__all__ = ["Authority", "AuthorityError", "OwnCertificate", "Served", "check"]
