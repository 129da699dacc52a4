"""The clients themselves: every way in which they sign, send and read errors."""

import asyncio
import http.client
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from alibabacloud_ecs20140526 import models as m
from alibabacloud_tea_openapi.exceptions import ClientException, ThrottlingException
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.request import RpcRequest

from tests.conformance.conftest import REGION, ZONE


def test_the_new_sdk(account):
    reply = account.new_sdk().describe_regions(m.DescribeRegionsRequest())
    assert reply.status_code == 200
    assert [region.region_id for region in reply.body.regions.region] == [REGION]
    assert re.fullmatch(r"[0-9A-F-]{36}", reply.body.request_id)
    assert reply.headers["x-acs-request-id"] == reply.body.request_id


def test_the_new_sdk_asynchronously(account):
    client = account.new_sdk()

    async def ask():
        return await asyncio.gather(
            *(client.describe_zones_async(m.DescribeZonesRequest(region_id=REGION)) for _ in range(5))
        )

    for reply in asyncio.run(ask()):
        assert ZONE in [zone.zone_id for zone in reply.body.zones.zone]


def test_the_new_sdk_with_the_old_signature(account):
    client = account.new_sdk(signature_algorithm="v2")
    request = m.DescribeDisksRequest(region_id=REGION, disk_name="a b/é+*~", page_size=3)
    assert client.describe_disks(request).body.total_count == 0


def test_the_new_sdk_with_a_scheme_in_its_endpoint(account):
    client = account.new_sdk(endpoint=account.service.endpoint)
    assert client.describe_regions(m.DescribeRegionsRequest()).body.regions.region


def test_the_old_sdk_by_post_and_get(account):
    assert account.old("DescribeRegions")["Regions"]["Region"][0]["RegionId"] == REGION
    assert account.old("DescribeDisks", method="GET", DiskName="a b/é+*~")["TotalCount"] == 0


def test_xml_for_those_who_want_it(account):
    request = RpcRequest("Ecs", "2014-05-26", "DescribeZones")
    request.set_endpoint(account.service.host)
    request.add_query_param("RegionId", REGION)
    request.set_accept_format("XML")
    status, headers, body = account.old_sdk().implementation_of_do_action(request)
    root = ET.fromstring(body)
    assert (status, headers["Content-Type"]) == (200, "text/xml;charset=utf-8")
    assert root.tag == "DescribeZonesResponse"
    assert ZONE in [each.text for each in root.findall("Zones/Zone/ZoneId")]


def test_http_proxy_alone_redirects_a_client(account):
    program = (
        "import sys\n"
        "from aliyunsdkcore.client import AcsClient\n"
        "from aliyunsdkecs.request.v20140526.DescribeZonesRequest import DescribeZonesRequest\n"
        "client = AcsClient(sys.argv[1], sys.argv[2], 'cn-hangzhou')\n"
        "request = DescribeZonesRequest(); request.set_endpoint('ecs-cn-hangzhou.aliyuncs.com')\n"
        "print(client.do_action_with_exception(request).decode())\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, account.access_key_id, account.secret],
        env={
            **account.environment(),
            "HTTP_PROXY": account.service.endpoint,
            "http_proxy": account.service.endpoint,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ZONE in [zone["ZoneId"] for zone in json.loads(done.stdout)["Zones"]["Zone"]]


def test_an_error_in_the_new_sdk(account):
    with pytest.raises(ClientException) as refused:
        account.new_sdk().create_snapshot(m.CreateSnapshotRequest(disk_id="d-nothing"))
    error = refused.value
    assert (error.code, error.status_code) == ("InvalidDiskId.NotFound", 404)
    assert error.request_id == error.data["RequestId"]
    assert "d-nothing" in error.message


def test_an_error_in_the_old_sdk(account):
    with pytest.raises(ServerException) as refused:
        account.old("CreateSnapshot", DiskId="d-nothing")
    assert (refused.value.get_error_code(), refused.value.get_http_status()) == (
        "InvalidDiskId.NotFound",
        404,
    )
    assert refused.value.get_request_id()


def test_a_wrong_secret_in_each_sdk(account):
    account.secret = "wrong"
    with pytest.raises(ClientException) as refused:
        account.new_sdk().describe_regions(m.DescribeRegionsRequest())
    assert refused.value.code == "SignatureDoesNotMatch"
    with pytest.raises(ServerException) as refused:
        account.old("DescribeRegions")
    # This SDK found its own string to sign in the message and concluded which half is wrong.
    assert refused.value.get_error_code() == "InvalidAccessKeySecret"


def test_an_unknown_key(account):
    account.access_key_id = "LTAInobody"
    with pytest.raises(ClientException) as refused:
        account.new_sdk().describe_regions(m.DescribeRegionsRequest())
    assert refused.value.code == "InvalidAccessKeyId.NotFound"


def test_an_error_in_xml_is_understood_by_the_new_sdk(account):
    client = account.new_sdk(signature_algorithm="v2")
    request = m.DescribeSnapshotsRequest(region_id=REGION, status="lost")
    with pytest.raises(ClientException) as refused:
        client.describe_snapshots(request)
    assert refused.value.code == "InvalidStatus.NotFound"


def test_a_passed_dry_run_is_an_error_to_clients(account):
    with pytest.raises(ClientException) as passed:
        account.new_sdk().describe_disks(m.DescribeDisksRequest(region_id=REGION, dry_run=True))
    assert (passed.value.code, passed.value.status_code) == ("DryRunOperation", 400)
    assert not isinstance(passed.value, ThrottlingException)


def test_plain_http_gets_plain_answers(service):
    connection = http.client.HTTPConnection(service.host)
    for method, target, status, code in (
        ("GET", "/", 400, "IncompleteSignature"),
        ("PUT", "/", 403, "UnsupportedHTTPMethod"),
        ("GET", "/favicon.ico", 404, "InvalidPath"),
        ("POST", "/?a=1&a=2", 400, "InvalidParameter"),
    ):
        connection.request(method, target)
        reply = connection.getresponse()
        root = ET.fromstring(reply.read())
        assert (reply.status, root.findtext("Code")) == (status, code)
        assert reply.headers["x-acs-request-id"] == root.findtext("RequestId")
    connection.close()


def test_a_body_that_is_too_large_is_refused_and_not_read(service):
    connection = http.client.HTTPConnection(service.host)
    connection.putrequest("POST", "/")
    connection.putheader("content-length", str(1 << 40))
    connection.endheaders()
    reply = connection.getresponse()
    assert (reply.status, ET.fromstring(reply.read()).findtext("Code")) == (413, "RequestTooLarge")
    connection.close()
