"""What the audit log still has after `kill -9`: every change, and all else but that of the last moments."""

import json
import subprocess
import sys
import time
from pathlib import Path

from lamina.cli.client import EcsClient, Profile
from lamina.control.audit.journal import FLUSH_SECONDS
from lamina.control.audit.queries import CallFilter, list_calls
from lamina.control.installation import open_metadata

LAMINA = Path(sys.executable).with_name("lamina")


def test_no_change_is_without_its_row(tmp_path):
    data, log = tmp_path / "data", tmp_path / "log"
    command = [LAMINA, "serve", "--data", data, "--listen", "127.0.0.1:0"]
    with log.open("wb") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr)
    try:
        endpoint = next(line for line in process.stdout if b"answers at" in line).decode().split()[-1]
        known = json.loads((data / "credentials.json").read_text())
        profile = Profile(
            endpoint=endpoint,
            access_key_id=known["access_key_id"],
            access_key_secret=known["access_key_secret"],
            region_id=known["region_id"],
        )
        client = EcsClient(profile)
        client.call("DescribeRegions")
        time.sleep(10 * FLUSH_SECONDS)  # ten times what it takes, for busy machines
        disk = {"RegionId": "cn-hangzhou", "ZoneId": "cn-hangzhou-h", "SizeInBytes": 1 << 30}
        made = [client.call("ImportDisk", disk)["DiskId"] for _ in range(20)]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    client.close()
    with open_metadata(data) as (database, _), database.reading() as session:
        calls = list_calls(session, CallFilter(), limit=1000)
    assert {call.resource for call in calls if call.action == "ImportDisk"} == set(made)
    assert "DescribeRegions" in {call.action for call in calls}
