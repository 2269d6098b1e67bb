"""The local certificate authority: what lets a phone open the relay's pages over https, and so use
its camera.
"""

from .authority import Authority, AuthorityError, Served
from .check import check
from .own import OwnCertificate

__all__ = ["Authority", "AuthorityError", "OwnCertificate", "Served", "check"]
