"""kill -9 under concurrent writers: what was acknowledged is there, and no transaction is there in part."""

import pytest

from tests.live_server import start_server
from tests.torture.writers import Written, check_database, halves, missing, write_until


@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=pytest.mark.torture)])
async def test_acknowledged_writes_survive_kill_9(database_url, tmp_path, rounds):
    written = Written()
    server = start_server(database_url, tmp_path)
    try:
        for number in range(rounds):
            enough = len(written.acknowledged) + 10 + 7 * number % 40

            def killed(server=server, enough=enough):
                if len(written.acknowledged) >= enough and server.process.poll() is None:
                    server.kill()
                return server.process.poll() is not None

            await write_until(server.base_url, written, killed, writers=16)
            server = start_server(database_url, tmp_path)
        assert missing(server.base_url, written) == []
        assert halves(server.base_url, written) == []
        assert server.stop() == 0
    finally:
        server.kill()
    assert len(written.acknowledged) >= 10 * rounds
    assert not written.refusals
    check_database(database_url)
