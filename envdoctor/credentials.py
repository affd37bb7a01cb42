"""Tokens and passwords in texts: what nobody wants to find in a report, a snapshot or a bench file, shared or not.

The patterns are those that the issuers publish for their own scanners. detect-secrets, the library of the field, reads source
code for a person who then sorts out what it found. It brings requests and five more packages, its import takes 0.7 s, and its
entropy plugins report every hash and UUID, of which error texts are full.
"""

from __future__ import annotations

import re

SECRET = "<secret>"  # noqa: S105 - the placeholder for one
CREDENTIALS = "<credentials>"

_TOKENS = re.compile(
    r"(?<![A-Za-z0-9_])(?:"
    r"gh[opsur]_[A-Za-z0-9]{20,}|github_pat_\w{20,}"  # GitHub
    r"|gl(?:pat|ptt|dt|rt|soat|ft|imt|agent|cbt)-[\w-]{16,}"  # GitLab
    r"|hf_[A-Za-z0-9]{20,}"  # Hugging Face
    r"|sk-[A-Za-z0-9_-]{20,}|[srp]k_(?:live|test)_[A-Za-z0-9]{16,}"  # OpenAI and Anthropic; Stripe
    r"|xox[abeprs]-[\w-]{10,}|xapp-[\w-]{10,}"  # Slack
    r"|(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{16}"  # AWS
    r"|AIza[\w-]{30,}|ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,}"  # Google
    r"|nvapi-[\w-]{20,}"  # NVIDIA
    r"|pypi-[\w-]{16,}"  # PyPI
    r"|npm_[A-Za-z0-9]{30,}|dckr_pat_[\w-]{20,}|do[op]_v1_[0-9a-f]{40,}|SG\.[\w-]{16,}\.[\w-]{16,}"
    r"|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"  # JSON web tokens
    r")"
)
_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
# `docker build --secret id=a,src=b` names a file.
# token=..., {"api_key": "..."}, aws_secret_access_key = ..., --password X, Authorization: Basic ...
_NAMED = re.compile(
    r"""(?ix)
    (
      (?<![a-z])(?:\w{0,40}[_-])?
      (?:token|secret|password|passwd|passphrase|pwd|credentials?|(?:api|auth|private|(?:secret[_-]?)?access)[_-]?key(?:[_-]?id)?)
      (?:
        \\{0,3}["']?\s{0,3}(?:=>?|:)\s{0,3}\\{0,3}["']
        | \s{0,3}=(?!=)\s{0,3}
        | \s{0,3}:(?!:)\s{0,3}(?=\S*\d|\S{12})
      )
      | --?(?:[a-z]+-)*(?:password|passwd|token|secret|api-key)[ =]["']?(?!id=[\w.-]+,(?:src|source|env)=)
      | \b(?:bearer|basic)\s+(?=[a-z0-9+/=._~-]{8})
    )
    (?!<|\$|\{|(?:none|null|true|false)\b|\*{3})
    ([^\s&,;'"<>{}\\]{4,})"""
)
_NAMING = re.compile(r"(?i)token|secret|passw|passphrase|pwd|key|credential|bearer|basic")
_URL = re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://)(?!git@|<)[^\s/@\"'<>]{1,300}@", re.IGNORECASE)
# conda's private channels: https://conda.anaconda.org/t/TOKEN/channel
_CHANNEL = re.compile(r"(/t/)(?!<)[\w-]{6,}(?=/)")
_SIGNED = re.compile(r"(?i)([?&](?:x-amz-[\w-]+|sig|signature|se|sv|sp|key|auth|access_token)=)(?!<)[^\s&\"'<>]{4,}")
_HINT = re.compile(r"[\w.-]{16}|://|/t/|[?&]|PRIVATE KEY|(?i:token|secret|passw|pwd|key|credential|bearer|basic)")


def without_credentials(text: str) -> str:
    """`text` with a placeholder for each token, password and key in it. Doing it twice changes nothing more."""
    if not _HINT.search(text):
        return text
    text = _KEY.sub(SECRET, text)
    text = _TOKENS.sub(SECRET, text)
    text = _URL.sub(rf"\1{CREDENTIALS}@", text)
    text = _CHANNEL.sub(rf"\1{SECRET}", text)
    text = _SIGNED.sub(rf"\1{SECRET}", text)
    return _NAMED.sub(rf"\1{SECRET}", text) if _NAMING.search(text) else text
