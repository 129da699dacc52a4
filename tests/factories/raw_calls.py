"""Signed calls over HTTP without a client library: for what the official clients cannot be made to send."""

import base64
import hashlib
import hmac
import http.client
import json
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlencode

from lamina.api.signature import ACS3, SignedCall, rfc3986, sign_acs3
from lamina.api.wire import parse_pairs


@dataclass
class RawReply:
    """What came back."""

    status: int
    content_type: str
    body: bytes

    @property
    def json(self) -> dict:
        return json.loads(self.body)

    @property
    def xml(self) -> ET.Element:
        return ET.fromstring(self.body)

    @property
    def code(self) -> str:
        """`ok`, or the error code."""
        if self.status < 400:
            return "ok"
        if self.content_type.startswith("text/xml"):
            return self.xml.findtext("Code")
        return self.json["Code"]

    @property
    def outcome(self) -> tuple[int, str]:
        return self.status, self.code


@dataclass
class RawCaller:
    """Calls with one key, over one connection that is kept."""

    host: str
    access_key_id: str
    secret: str
    _connection: http.client.HTTPConnection | None = field(default=None, repr=False)

    def call(
        self, action: str, parameters: Mapping[str, object] | None = None, body: bytes = b""
    ) -> RawReply:
        """As the newer clients sign: ACS3, everything in the query, JSON answers."""
        query = urlencode(_flatten(parameters or {}))
        headers = {
            "host": self.host,
            "x-acs-action": action,
            "x-acs-version": "2014-05-26",
            "x-acs-date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "x-acs-signature-nonce": uuid.uuid4().hex,
            "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
        }
        signed = SignedCall(
            method="POST",
            path="/",
            query=parse_pairs(query.encode(), "query"),
            form=(),
            headers={name: (value,) for name, value in headers.items()},
            body=body,
        )
        names, signature = sign_acs3(signed, headers, self.secret)
        line = f"{ACS3} Credential={self.access_key_id},SignedHeaders={names},Signature={signature}"
        return self._send("POST", f"/?{query}", body, {**headers, "authorization": line})

    def call_rpc(
        self,
        action: str,
        parameters: Mapping[str, object] | None = None,
        *,
        method: str = "GET",
        shape: str = "XML",
    ) -> RawReply:
        """As the older clients sign: everything in the query, answers in XML or JSON."""
        pairs = {
            **_flatten(parameters or {}),
            "Action": action,
            "Version": "2014-05-26",
            "Format": shape,
            "AccessKeyId": self.access_key_id,
            "Timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "SignatureMethod": "HMAC-SHA1",
            "SignatureVersion": "1.0",
            "SignatureNonce": uuid.uuid4().hex,
        }
        joined = "&".join(f"{rfc3986(name)}={rfc3986(value)}" for name, value in sorted(pairs.items()))
        text = f"{method}&%2F&{rfc3986(joined)}"
        mac = hmac.new((self.secret + "&").encode(), text.encode(), "sha1").digest()
        query = urlencode({**pairs, "Signature": base64.b64encode(mac).decode()})
        return self._send(method, f"/?{query}", b"", {"host": self.host})

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> RawReply:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self.host, timeout=30)
        self._connection.request(method, target, body=body, headers=dict(headers))
        reply = self._connection.getresponse()
        return RawReply(reply.status, reply.headers.get("content-type", ""), reply.read())


def _flatten(parameters: Mapping[str, object]) -> dict[str, str]:
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in parameters.items()
        if value is not None
    }
