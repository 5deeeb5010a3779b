"""The configuration file: what is understood, and the exact line for each mistake."""

from __future__ import annotations

import itertools
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from exporter.config.load import ConfigError, load
from exporter.config.schema import BreakerSettings, Config, Fleet, Miner, Root
from exporter.config.yaml import MAX_VALUES, parse
from exporter.pools import Context, drivers

GOOD = """\
fleet:
  miner_ips: ["192.0.2.100", "192.0.2.101:8080"]
  miners:
    - address: https://192.0.2.102
      name: barn1-l9-03
      worker: barn1-l9-03
      labels: {site: barn1, rack: "3"}
      power_watts: 3400
      thresholds: {temperature_critical: 85}
    - {address: miner.lan, api: simple, algorithm: scrypt}
  allowed_networks: ["192.0.2.0/24", "2001:db8::/32"]
  poll_interval_seconds: 15
prohashing:
  api_key: "${KEY}"
  sync_interval_seconds: 120
economics: {electricity_usd_per_kwh: 0.08}
breaker: {vnish: {failure_threshold: 4}, prohashing: {timeout_seconds: 90}}
logging: {level: debug}
"""


def read(tmp_path: Path, text: str, **environ: str) -> Config:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return load(path, environ)


def faults(tmp_path: Path, text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text, **environ)
    return [fault.replace(str(tmp_path), "") for fault in caught.value.faults]


def test_a_whole_file_is_understood(tmp_path: Path) -> None:
    config = read(tmp_path, GOOD, KEY="s3cret")
    assert [miner.instance for miner in config.fleet.all_miners()] == [
        "192.0.2.100",
        "192.0.2.101:8080",
        "barn1-l9-03",
        "miner.lan",
    ]
    assert config.fleet.miners[0].thresholds.over(config.root.alerts.thresholds).temperature_critical == 85
    assert config.breaker("vnish") == (4, 30.0)
    assert config.breaker("prohashing") == (5, 90.0)
    assert config.root.logging.level == "DEBUG"
    assert config.pools[0].settings.sync_interval_seconds == 120
    assert config.pools[0].settings.api_key == SecretStr("s3cret")  # type: ignore[attr-defined]
    assert config.scrape_timeout_seconds == 10.5


def test_defaults(tmp_path: Path) -> None:
    config = read(tmp_path, "fleet: {miner_ips: [192.0.2.1]}")
    assert config.breaker("vnish") == (3, 30.0)
    assert config.breaker("prohashing") == (5, 60.0)
    assert config.server.listen == "127.0.0.1:10777"
    assert config.fleet.max_response_bytes == 4 * 1024 * 1024
    assert config.pools == ()
    assert config.notes == ()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ": expected sections such as fleet, found an empty file"),
        ("- a", ": expected sections such as fleet, found a list"),
        (
            "fleet: [",
            ":1: expected YAML, found a mistake: expected the node content, but found '<stream end>'",
        ),
        ("fleet: {}", ":1: fleet: expected miner_ips, miners or allowed_networks, found none of them"),
        ("fleeet: {}\nfleet: {miner_ips: [192.0.2.1]}", ":1: fleeet: unknown key; did you mean fleet?"),
        (
            "fleet: {miner_ips: [192.0.2.1], timeout: 5}",
            ":1: fleet.timeout: unknown key; did you mean timeout_seconds?",
        ),
        (
            "fleet:\n  miner_ips: [192.0.2.1]\n  miner_ips: [192.0.2.2]",
            ":3: fleet.miner_ips: expected each key once, found it again",
        ),
        ("fleet: {miner_ips: 192.0.2.1}", ":1: fleet.miner_ips: expected a list, found '192.0.2.1'"),
        (
            "fleet: {miner_ips: [192.0.2.1 x]}",
            ":1: fleet.miner_ips[0]: expected host[:port], http://host[:port] or https://host[:port],"
            " found '192.0.2.1 x'",
        ),
        (
            "fleet: {miner_ips: [http://192.0.2.1/cgi]}",
            ":1: fleet.miner_ips[0]: expected host[:port], http://host[:port] or https://host[:port],"
            " found 'http://192.0.2.1/cgi'",
        ),
        (
            "fleet:\n  miner_ips:\n    - 192.0.2.1\n    - 192.0.2.1:80",
            ":4: fleet.miner_ips[1]: expected each miner once, found it at fleet.miner_ips[0] too",
        ),
        (
            "fleet: {miner_ips: [miner.lan]}",
            ":1: fleet.miner_ips[0]: expected an address, or a name with fleet.allowed_networks to say where it"
            " may lead, found 'miner.lan'",
        ),
        ("fleet:\n  miners:\n    - name: a", ":3: fleet.miners[0].address: expected a value, found none"),
        (
            "fleet:\n  miners:\n    - {address: 192.0.2.1, name: a}\n    - {address: 192.0.2.2, name: a}",
            ":4: fleet.miners[1].name: expected a name of its own, found it at fleet.miners[0] too",
        ),
        (
            "fleet: {miners: [{address: 192.0.2.1, name: ' a'}]}",
            ":1: fleet.miners[0].name: expected printable text without spaces around it, found ' a'",
        ),
        (
            "fleet: {miners: [{address: 192.0.2.1, name: ''}]}",
            ":1: fleet.miners[0].name: expected text of 1 to 128 characters, found ''",
        ),
        (
            "fleet: {miners: [{address: 192.0.2.1, api: v2}]}",
            ":1: fleet.miners[0].api: expected 'auto', 'v1', 'simple' or 'cgi', found 'v2'",
        ),
        (
            "fleet: {miners: [{address: 192.0.2.1, labels: {rack: 3}}]}",
            ":1: fleet.miners[0].labels.rack: expected text, found 3",
        ),
        (
            "fleet: {miners: [{address: 192.0.2.1, labels: {board: x}}]}",
            ":1: fleet.miners[0].labels: expected a label of your own; 'board' has a meaning already",
        ),
        (
            "fleet: {miners: [{address: 192.0.2.1, labels: {a-b: x}}]}",
            ":1: fleet.miners[0].labels: expected label names of letters, digits and underscores; 'a-b' is none",
        ),
        (
            "fleet: {miners: [{address: 192.0.2.1, power_watts: -5}]}",
            ":1: fleet.miners[0].power_watts: expected a number above 0, found -5",
        ),
        (
            "fleet: {miners: [{address: https://192.0.2.1, fingerprint: abc}]}",
            ":1: fleet.miners[0].fingerprint: expected a SHA-256 fingerprint of 64 hexadecimal digits, found 'abc'",
        ),
        (
            "fleet: {miners: [{address: https://192.0.2.1, ca_file: /nonexistent}]}",
            ":1: fleet.miners[0].ca_file: expected a readable file of certificates (No such file or directory),"
            " found text that is not shown",
        ),
        (
            "fleet: {miners: [{address: 192.0.2.1, thresholds: {temperature_critical: 70}}]}",
            ":1: fleet.miners[0].thresholds: expected temperature_warning below temperature_critical with the"
            " fleet's thresholds, found 80 and 70",
        ),
        (
            "fleet: {allowed_networks: [192.0.2.5/24]}",
            ":1: fleet.allowed_networks[0]: expected a network such as 192.168.1.0/24, found '192.0.2.5/24'",
        ),
        (
            "fleet: {miner_ips: [192.0.2.1], timeout_seconds: 0}",
            ":1: fleet.timeout_seconds: expected a number above 0, found 0",
        ),
        (
            "fleet: {miner_ips: [192.0.2.1], timeout_seconds: soon}",
            ":1: fleet.timeout_seconds: expected a number, found 'soon'",
        ),
        (
            "fleet: {miner_ips: [192.0.2.1], retries: 1.5}",
            ":1: fleet.retries: expected a whole number, found 1.5",
        ),
        (
            "fleet: {miner_ips: [192.0.2.1], retries: true}",
            ":1: fleet.retries: expected a whole number, found true",
        ),
        (
            "fleet: {miner_ips: [192.0.2.1], retries: 9}",
            ":1: fleet.retries: expected a number of at most 5, found 9",
        ),
        (
            "fleet: {miner_ips: [192.0.2.1], collect: {boards: yes}}",
            ":1: fleet.collect.boards: expected true or false, found 'yes'",
        ),
        (
            "fleet: {miner_ips: [192.0.2.1], poll_interval_seconds: 1:30}",
            ":1: fleet.poll_interval_seconds: expected a number, found '1:30'",
        ),
        (
            "prohashing: {base_url: localhost:3000}",
            ":1: prohashing.base_url: expected http://host[:port] or https://host[:port],"
            " found text that is not shown",
        ),
        *(
            (
                f"prohashing: {{wamp_url: '{url}'}}",
                ":1: prohashing.wamp_url: expected ws://host[:port][/path] or wss://host[:port][/path],"
                " found text that is not shown",
            )
            for url in (
                "https://pool.example/ws",
                "pool.example",
                "ws://:1/x",
                "wss://a b",
                "ws://me:pw@pool.example",
            )
        ),
        (
            "prohashing: {api_key: '${NOPE}'}",
            ":1: prohashing.api_key: expected the environment variable NOPE, found it unset",
        ),
        (
            "prohashing: {api_key: '${}'}",
            ":1: prohashing.api_key: expected ${NAME} with the name of a variable",
        ),
        ("prohashing: {api_key: 12345}", ":1: prohashing.api_key: expected text"),
        ("prohashing: {api_key: ''}", ":1: prohashing.api_key: expected a secret, and it is empty"),
        (
            "prohashing: {api_key_file: /nonexistent}",
            ":1: prohashing.api_key_file: expected a file this user can read",
        ),
        (
            "prohashing: {apikey: x}",
            ":1: prohashing.apikey: unknown key; did you mean api_key?",
        ),
        (
            "prohashing: {rate_limit_requests_per_hour: 0}",
            ":1: prohashing.rate_limit_requests_per_hour: expected a number above 0, found 0",
        ),
        (
            "pools: {type: prohashing}",
            ":1: pools: expected a list of accounts, found a section of keys",
        ),
        (
            "pools: [prohashing]",
            ":1: pools[0]: expected an account with a type, found text",
        ),
        (
            "pools: [{name: main}]",
            f":1: pools[0]: expected a type, one of {', '.join(drivers())}, found none",
        ),
        (
            "pools: [{type: [x]}]",
            f":1: pools[0].type: expected a known type of pool, found a list; known here are {', '.join(drivers())}",
        ),
        (
            "pools: [{type: prohashin}]",
            ":1: pools[0].type: expected a known type of pool, found text that is not shown; did you mean prohashing?",
        ),
        (
            "pools:\n- {type: prohashing, name: main}\n- {type: prohashing, name: main}",
            ":3: pools[1].name: expected a name of its own, found it at pools[0] too",
        ),
        (
            "pools: [{type: prohashing, base_ur: x}]",
            ":1: pools[0].base_ur: unknown key; did you mean base_url?",
        ),
        (
            "pools: [{type: prohashing, labels: {coin: x}}]",
            ":1: pools[0].labels: expected a label of your own; 'coin' has a meaning already",
        ),
        (
            "fleet: {pool: mein}\npools: [{type: prohashing, name: main}]",
            ":1: fleet.pool: expected the name of an account, found 'mein'; did you mean main?",
        ),
        (
            "fleet: {miners: [{address: 192.0.2.1, pool: main}]}",
            ":1: fleet.miners[0].pool: expected the name of an account, found 'main'; there are no accounts",
        ),
        (
            "fleet: {miners: [{address: 192.0.2.1, name: prohashing}]}\nprohashing: {}",
            ":2: prohashing: expected a name of its own, found it at a miner too",
        ),
        (
            "fleet: {miner_ips: [192.0.2.1]}\nbreaker: {vnihs: {failure_threshold: 3}}",
            ":2: breaker.vnihs: unknown key; did you mean vnish?",
        ),
        (
            "fleet: {miner_ips: [192.0.2.1]}\nbreaker: {vnish: {failure_threshold: 0}}",
            ":2: breaker.vnish.failure_threshold: expected a number above 0, found 0",
        ),
        (
            "fleet: {miner_ips: [192.0.2.1]}\nalerts: {thresholds: {temperature_warning: 95}}",
            ":2: alerts.thresholds: expected temperature_warning below temperature_critical, found 95 and 90",
        ),
        (
            "fleet: {miner_ips: [192.0.2.1]}\nalerts: {thresholds: {hashrate_drop_percent: 100}}",
            ":2: alerts.thresholds.hashrate_drop_percent: expected a number below 100, found 100",
        ),
        (
            "fleet: {miner_ips: [192.0.2.1]}\nlogging: {level: loud}",
            ":2: logging.level: expected 'DEBUG', 'INFO', 'WARNING' or 'ERROR', found 'LOUD'",
        ),
        (
            "fleet: {miner_ips: [192.0.2.1]}\nserver: {listen: localhost}",
            ":2: server.listen: expected HOST:PORT, found text that is not shown",
        ),
        (
            "fleet: {miner_ips: [192.0.2.1]}\neconomics: {electricity_usd_per_kwh: .inf}",
            ":2: economics.electricity_usd_per_kwh: expected a number, found '.inf'",
        ),
        (
            "fleet: {miner_ips: [192.0.2.1]}\neconomics: {electricity_usd_per_kwh: 8}",
            ":2: economics.electricity_usd_per_kwh: expected US dollars, not cents, at most 2, found 8",
        ),
        (
            "fleet: {miner_ips: [192.0.2.1]}\nbreaker: {vnish: {failure_treshold: 3}}",
            ":2: breaker.vnish.failure_treshold: unknown key; did you mean failure_threshold?",
        ),
        (
            "fleet: {miners: [{address: 192.0.2.1, thresholds: {temperature_critcal: 3}}]}",
            ":1: fleet.miners[0].thresholds.temperature_critcal: unknown key; did you mean temperature_critical?",
        ),
        (
            "fleet: {miner_ips: [192.0.2.1, '::ffff:192.0.2.1']}",
            ":1: fleet.miner_ips[1]: expected each miner once, found it at fleet.miner_ips[0] too",
        ),
        (
            "fleet: {allowed_networks: ['::ffff:192.0.2.0/120']}",
            ":1: fleet.allowed_networks[0]: expected a network of IPv4 addresses in their own form, such as"
            " 192.168.1.0/24, found '::ffff:192.0.2.0/120'",
        ),
        ("fleet: !!bool x", ":1: expected YAML, found a mistake: a value that does not fit its tag"),
        (
            "fleet: !!python/name:os.system",
            ":1: expected YAML, found a mistake: a tag that is not known here",
        ),
        ("fleet: !mine {}", ":1: expected YAML, found a mistake: a tag that is not known here"),
        (
            "fleet: &a {miners: *b}",
            ":1: expected YAML, found a mistake: found undefined alias",
        ),
        ("x: [&a 1, &a 2]", ":1: expected YAML, found a mistake: an anchor given twice"),
        (
            "fleet: {miner_ips: [@x]}",
            ":1: expected YAML, found a mistake: text that begins with a sign of YAML's own; put it in quotes",
        ),
        (
            'fleet:\n  miner_ips: ["\\ud800"]',
            ":2: expected YAML, found a mistake: an escape that stands for no character",
        ),
        ("fleet: {}\nx: \x07", ":2: expected YAML, found a character that is no text"),
        (
            "fleet: {}\n...\nfleet: {}",
            ":3: expected YAML, found a mistake: more behind the end of the document, which --- or ... may mark",
        ),
        ("fleet:", ":1: fleet: expected miner_ips, miners or allowed_networks, found none of them"),
    ],
)
def test_the_exact_line_for_each_mistake(tmp_path: Path, text: str, line: str) -> None:
    assert faults(tmp_path, text) == [f"/config.yaml{line}"]


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = "fleet:\n  timeout: 3\n  miner_ips: [192.0.2.1, x y]\n  retries: -1\nloging: {}\n"
    assert [line.split(": ")[0] for line in faults(tmp_path, text)] == [
        "/config.yaml:2",
        "/config.yaml:3",
        "/config.yaml:4",
        "/config.yaml:5",
    ]


def test_no_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "none.yaml", {})
    assert caught.value.faults == [
        f"{tmp_path}/none.yaml: expected a readable file, found No such file or directory"
    ]
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="expected UTF-8 text"):
        load(tmp_path / "binary", {})


def test_the_older_shape_is_accepted_with_a_note_for_what_has_moved(tmp_path: Path) -> None:
    text = (
        "fleet: {miner_ips: [192.0.2.1]}\n"
        "database: {url: 'sqlite:///x', password: hunter2}\n"
        "alerts:\n  email: {to: [a@example.org]}\n  slack: {webhook_url: 'https://example.org/x'}\n"
        "  thresholds: {temperature_warning: 75}\n"
    )
    config = read(tmp_path, text)
    assert [note.replace(str(tmp_path), "") for note in config.notes] == [
        "/config.yaml:2: database: accepted and not used: Prometheus stores the history"
        " (prometheus/prometheus.yml)",
        "/config.yaml:4: alerts.email: accepted and not used: Alertmanager sends e-mail"
        " (alertmanager/alertmanager.yml)",
        "/config.yaml:5: alerts.slack: accepted and not used: Alertmanager writes to Slack"
        " (alertmanager/alertmanager.yml)",
    ]
    assert config.root.alerts.thresholds.temperature_warning == 75


def test_numbers_may_come_from_the_environment(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        "fleet: {miner_ips: ['192.0.2.${N}'], timeout_seconds: '${T}', retries: '${R}', collect: {pools: '${P}'}}",
        N="7",
        T="2.5",
        R="3",
        P="false",
    )
    assert config.fleet.miner_ips == ["192.0.2.7"]
    assert (config.fleet.timeout_seconds, config.fleet.retries) == (2.5, 3)
    assert config.fleet.collect.pools is False


def test_a_value_from_the_environment_cannot_add_keys(tmp_path: Path) -> None:
    assert faults(tmp_path, "fleet: {miner_ips: ['${X}']}", X="192.0.2.1], retries: [5") == [
        "/config.yaml:1: fleet.miner_ips[0]: expected host[:port], http://host[:port] or https://host[:port],"
        " found text that is not shown"
    ]


def test_a_secret_may_be_a_file_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\n")
    config = read(tmp_path, "prohashing: {api_key_file: key}")
    assert config.pools[0].settings.key.get_secret_value() == "s3cret"  # type: ignore[attr-defined]


def test_a_secret_given_twice_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret")
    lines = faults(tmp_path, "prohashing: {api_key: hunter2, api_key_file: key}")
    assert lines == ["/config.yaml:1: prohashing: expected api_key or api_key_file, found both"]


@pytest.mark.parametrize(
    "text",
    [
        "prohashing: {api_key: [hunter2]}",
        "prohashing: {api_key: {hunter2: 1}}",
        "prohashing: {api_key: hunter2, sync_interval_seconds: x}",
        "prohashing: {api_key_file: hunter2}",
        "prohashing: {api_keys: hunter2}",
        "prohashing: {base_url: 'http://me:hunter2@127.0.0.1:3000'}",
        "prohashing: {wamp_url: 'wss://me:hunter2@127.0.0.1:3000'}",
        "prohashing: {wamp_url: 'wss://127.0.0.1:3000/ws?key=hunter2'}",
        "prohashing: {base_url: 'http://127.0.0.1:3000/?apiKey=hunter2'}",
        "fleet: {miner_ips: ['http://root:hunter2@127.0.0.1']}",
        "fleet: {miners: [{address: 'http://root:hunter2@127.0.0.1'}]}",
        "prohashing: hunter2",
        "prohashing: {sync_interval_seconds: '${KEY}'}",
        "prohashing: ${KEY}",
        "prohashing: {api_key: !hunter2 x}",
        "prohashing: {api_key: !!hunter2 x}",
        "prohashing: {api_key: !hunter2!x x}",
        "prohashing: {api_key: *hunter2}",
        "prohashing: {api_key: [&hunter2 x, &hunter2 y]}",
        "prohashing: {api_key:hunter2}",
        "prohashing: {api_keyhunter2}",
        "prohashing: {hunter2}",
        "prohashing: {hunter2: x}",
        "prohashing: {api_key: '${hunter2}'}",
        "prohashing: {sync_interval_seconds: 60hunter2}",
        "pools: [{type: prohashinghunter2}]",
        "fleet: {miners: [{address: 192.0.2.1hunter2}]}",
        "fleet: {miners: [{address: 192.0.2.1, api: autohunter2}]}",
        "fleet: {miners: [{address: 192.0.2.1, labels: {site: a, hunter2}}]}",
        "fleet: {miners: [{address: 192.0.2.1, labels: {hunter-2: a, 'hunter2 ': b}}]}",
        "fleet: {miners: [{address: 192.0.2.1, password:hunter2}]}",
        "fleet: {miners: [{address: 192.0.2.1, hunter2: 1, hunter2: 2}]}",
    ],
)
def test_no_mistake_shows_a_secret(tmp_path: Path, text: str) -> None:
    assert "hunter2" not in "".join(faults(tmp_path, text, KEY="hunter2"))


@pytest.mark.parametrize("value", [".", "-.", ".e5", "!!int abc", "!!float x", "!!timestamp abc", "9" * 5000])
def test_a_value_that_cannot_be_read_is_a_fault(tmp_path: Path, value: str) -> None:
    [line] = faults(tmp_path, f"fleet:\n  miner_ips: [192.0.2.1]\n  timeout_seconds: {value}")
    assert line.startswith("/config.yaml:3: ")


@pytest.mark.parametrize("value", ["[{thresholds: {temperature_critical: 85}}]", "much", "3"])
def test_a_section_of_another_type_is_not_passed_over(tmp_path: Path, value: str) -> None:
    [line] = faults(tmp_path, f"fleet: {{miner_ips: [192.0.2.1]}}\nalerts: {value}")
    assert line.startswith("/config.yaml:2: alerts: expected a section of keys, found ")


def test_a_section_with_nothing_in_it_is_none(tmp_path: Path) -> None:
    read(
        tmp_path,
        "fleet: {miner_ips: [192.0.2.1]}\neconomics:\nalerts:\nlogging:\nserver:\nbreaker:\nprohashing:\n",
    )
    [line] = faults(tmp_path, "fleet: {miner_ips: [192.0.2.1]}\nfleets:")
    assert "did you mean fleet?" in line


def test_a_pool_audit_without_pools_is_a_mistake(tmp_path: Path) -> None:
    for audit in (
        "expected_pools: [a.b]",
        "pool_account: me",
        "miners: [{address: 192.0.2.2, expected_pools: [a.b]}]",
    ):
        [line] = faults(tmp_path, f"fleet: {{miner_ips: [192.0.2.1], collect: {{pools: false}}, {audit}}}")
        assert "expected collect.pools true" in line


def test_an_address_of_the_network_card_is_text(tmp_path: Path) -> None:
    config = read(tmp_path, "fleet: {miners: [{address: 192.0.2.1, name: 024e56789012}]}")
    assert config.fleet.miners[0].instance == "024e56789012"


def test_the_pools_relay_may_be_named_by_its_own_environment(tmp_path: Path) -> None:

    config = read(tmp_path, "prohashing: {}")
    settings = config.pools[0].settings
    environ = {"PROHASHING_SERVER_HOST": "relay", "PROHASHING_SERVER_PORT": "4000"}
    assert str(drivers()["prohashing"].source(settings, Context(environ)).endpoint) == "relay:4000"
    assert str(drivers()["prohashing"].source(settings, Context()).endpoint) == "localhost:3000"
    with pytest.raises(ConfigError, match="prohashing: expected host"):
        read(tmp_path, "prohashing: {}", PROHASHING_SERVER_PORT="x y")


def test_a_section_is_written_once_and_merged_where_it_is_used(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        """\
fleet:
  miners:
    - &first {address: 192.0.2.1, name: a, labels: {site: barn1}, power_watts: 3000}
    - {<<: *first, address: 192.0.2.2, name: b}
    - {address: 192.0.2.3, <<: [{name: c}, *first]}
""",
    )
    assert [(m.address, m.name, m.labels, m.power_watts) for m in config.fleet.miners] == [
        ("192.0.2.1", "a", {"site": "barn1"}, 3000),
        ("192.0.2.2", "b", {"site": "barn1"}, 3000),
        ("192.0.2.3", "c", {"site": "barn1"}, 3000),
    ]


LETTERS = "abcdefghi"


def nested(first: str, outer: str) -> str:
    """Nine lines, each of which says the one above nine times."""
    lines = [f"a: &a {first}\n"]
    for before, name in itertools.pairwise(LETTERS):
        repeated = ", ".join([f"*{before}"] * 9)
        lines.append(f"{name}: &{name} {outer.replace('?', repeated)}\n")
    return "".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        nested("[x, x, x]", "[?]"),
        nested("{x: 1, y: 2}", "{<<: [?]}"),
        "a: &a [" + "x, " * 1000 + "]\nb: [" + "*a, " * 1000 + "]",
        "a: &a {" + ", ".join(f"k{n}: 1" for n in range(1000)) + "}\nb: {<<: [" + "*a, " * 1000 + "]}",
    ],
)
def test_what_aliases_repeat_is_bounded(text: str) -> None:
    document = parse(text, {})
    [(_, _, fault)] = document.faults
    assert "more than 200000 values" in fault
    assert len(document.lines) <= 2 * MAX_VALUES


@pytest.mark.parametrize(
    "text",
    ["a: &a [*a]", "a: &a {<<: *a}", "[" * 100_000, "{a: " * 100_000, "- " * 100_000, "? " * 100_000],
)
def test_depth_is_bounded(text: str) -> None:
    [(_, _, fault)] = parse(text, {}).faults
    assert fault == "expected YAML, found a mistake: nested too deeply"


def test_thousands_of_miners_are_read(tmp_path: Path) -> None:
    miners = "".join(
        f"    - {{address: 198.18.{n // 250}.{n % 250 + 1}, name: m{n}, labels: {{site: s, rack: r}}}}\n"
        for n in range(2_500)
    )
    config = read(tmp_path, f"fleet:\n  miners:\n{miners}")
    assert len(config.fleet.miners) == 2_500


def test_a_file_without_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected at most 4194304 bytes, found more"):
        load("/dev/zero", {})
    [line] = faults(tmp_path, "prohashing: {api_key_file: /dev/zero}")
    assert line.endswith("expected a file with the secret in it, and it is too large for one")


@pytest.mark.parametrize("line", ["  retries: 1\n", "  x{n}: 1\n", "  retries: [{n}]\n"])
def test_many_faults_are_told_in_part(tmp_path: Path, line: str) -> None:
    text = "fleet:\n" + "".join(line.replace("{n}", str(n)) for n in range(3000))
    lines = faults(tmp_path, text)
    assert len(lines) == 101
    assert lines[-1] in ("/config.yaml: 2900 more faults", "/config.yaml: 2899 more faults")


def test_much_text_from_the_environment_is_refused(tmp_path: Path) -> None:
    text = "fleet: {expected_pools: [" + "'${BIG}', " * 100 + "]}"
    assert (
        "expected text in the environment, found too much or none"
        in faults(tmp_path, text, BIG="x" * 100_000)[0]
    )
    assert "found too much or none" in faults(tmp_path, "prohashing: {api_key: '${RAW}'}", RAW="\udcff")[0]


@pytest.mark.parametrize(("text", "ended"), [("a: 1\n", False), ("a: 1\n...\n", True), ("---\na: 1", False)])
def test_an_end_marker_is_seen(text: str, ended: bool) -> None:
    assert parse(text, {}).ended is ended


# Fuzzing: what a slip of the keyboard, a broken template or a hand that means ill makes of a good file.
SECRET = "hunter2x9"
WHOLE = f"""\
fleet:
  miner_ips: ["192.0.2.100", "192.0.2.101:8080"]
  miners:
    - address: https://192.0.2.102
      name: barn1-l9-03
      labels: {{site: barn1, rack: "3"}}
      password: {SECRET}
      power_watts: 3400
      thresholds: {{temperature_critical: 85}}
    - {{address: miner.lan, api: simple, password: "{SECRET}", pool: main, algorithm: scrypt}}
    - {{api_key: {SECRET}, address: 192.0.2.104, full_detail: true}}
  allowed_networks: ["192.0.2.0/24", "2001:db8::/32"]
prohashing: {{name: main, api_key: {SECRET}, sync_interval_seconds: 60, base_url: "http://127.0.0.1:3000"}}
pools:
  - {{type: prohashing, api_key: "${{KEY}}", name: second, max_age_minutes: 10}}
database: {{password: {SECRET}}}
alerts: {{email: {{password: {SECRET}}}, thresholds: {{temperature_warning: 75}}}}
economics: {{electricity_usd_per_kwh: 0.08}}
breaker: {{vnish: {{failure_threshold: 4}}}}
server: {{listen: "127.0.0.1:10777"}}
"""
SCRAPS = [
    "", " ", "\n", ":", ": ", ",", "-", "- ", "?", "!", "!!bool ", "!!int ", "!!map ", "!x ", "&", "&a ", "*", "*a ",
    "<<: ", "{", "}", "[", "]", "'", '"', "#", "|", ">", "%", "@", "`", "$", "${", "${KEY}", "...", "---", "\t", "\\",
    "\0", "\x1b", "\ud800", "9" * 40, "-1", "1e999", "true", "null", "~", "x", "é",
]  # fmt: skip


def load_text(text: str) -> list[str]:
    """The faults of *text*, none if it is good; anything else that is raised is a failure."""
    with TemporaryDirectory() as directory:
        path = Path(directory, "config.yaml")
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            load(path, {"KEY": SECRET})
        except ConfigError as error:
            assert error.faults
            for fault in error.faults:
                assert fault.startswith(str(path))
                assert "\n" not in fault
                assert len(fault) < 1000
                fault.encode()
            return error.faults
        return []


@st.composite
def slips(draw: st.DrawFn) -> str:
    """WHOLE after some slips, each within a line: as many as one makes before looking."""
    lines = WHOLE.splitlines(keepends=True)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        line = lines[at]
        start = draw(st.integers(0, len(line)))
        end = draw(st.integers(start, len(line)))
        kind = draw(st.sampled_from(["cut", "replace", "insert", "line", "double", "swap", "end"]))
        if kind == "cut":
            # The end of the line stays: one line joined to another is a cut of the file.
            lines[at] = line[:start] + line[min(end, len(line) - 1) :]
        elif kind == "replace":
            lines[at] = line[:start] + draw(st.sampled_from(SCRAPS)) + line[end:]
        elif kind == "insert":
            lines[at] = line[:start] + draw(st.sampled_from(SCRAPS)) + line[start:]
        elif kind == "line":
            del lines[at]
        elif kind == "double":
            lines.insert(at, line)
        elif kind == "swap":
            other = draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], line
        else:
            lines = [*lines[:at], line[:start]]
        lines = lines or ["\n"]
    return "".join(lines)


def test_the_whole_file_is_good() -> None:
    assert load_text(WHOLE) == []


@settings(max_examples=400)
@given(slips())
@example(WHOLE.replace("{name: main, api_key: ", "{name: "))
def test_no_slip_raises_anything_but_faults_or_shows_a_secret(text: str) -> None:
    assert SECRET not in "".join(load_text(text))


@settings(max_examples=300)
@given(st.one_of(st.text(), st.lists(st.sampled_from([*SCRAPS, "a", "fleet", "miners"])).map("".join)))
def test_no_text_raises_anything_but_faults(text: str) -> None:
    load_text(text)


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.sampled_from(SCRAPS)
)
KEYS = st.sampled_from(
    [
        *Root.model_fields, *Fleet.model_fields, *Miner.model_fields, *BreakerSettings.model_fields,
        "pools", "vnish", "prohashing", "type", "base_url", "database", "email", "slack",
    ]
)  # fmt: skip
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(KEYS, st.text(max_size=8)), inner, max_size=5)
    ),
    max_leaves=25,
)


@settings(max_examples=300)
@given(st.dictionaries(KEYS, TREES, max_size=6))
def test_no_tree_of_known_keys_raises_anything_but_faults(tree: dict[str, Any]) -> None:
    load_text(yaml.dump(tree, allow_unicode=True))
