"""What the simulated models are built of. Board and chip counts and rates are the makers'."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hardware:
    """One model. ``unit`` is hashes per second in one unit of the firmware's ``hr_measure``."""

    name: str
    code: str
    series: str
    algorithm: str
    unit: float
    boards: int
    chips: int
    rate: float
    """Nominal hashrate of the whole miner, in ``unit``."""
    stock_rate: float
    watts: int
    chip_mhz: int
    board_millivolts: int
    chip_millivolts: int
    fans: int
    fan_rpm: int
    platform: str
    share_factor: float
    """Hashes a share of difficulty 1 stands for."""
    difficulty: float
    first_board: int = 1
    """What the CGI pages call the first board; on some models boards sit in the control board's last sockets."""
    first_fan: int = 1
    """The socket of the first fan, as for the boards."""

    @property
    def measure(self) -> str:
        """The unit as the firmware prints it."""
        return "MH/s" if self.unit == 1e6 else "GH/s"


HARDWARE = {
    model.code: model
    for model in (
        Hardware(
            "Antminer L9", "l9", "l9", "scrypt", 1e6, 3, 110, 17_000.0, 16_000.0, 3360, 1125, 12_600, 330, 4, 6500,
            "aml", 2**16, 131_072.0,
        ),
        Hardware(
            "Antminer L7", "l7", "l7", "scrypt", 1e6, 3, 120, 9_500.0, 9_500.0, 3260, 740, 15_000, 365, 4, 6000,
            "xil", 2**16, 65_536.0,
        ),
        Hardware(
            "Antminer L3+", "l3+", "l3", "scrypt", 1e6, 4, 72, 504.0, 504.0, 800, 384, 10_100, 140, 2, 4300,
            "bb", 2**16, 8_192.0,
        ),
        Hardware(
            "Antminer S19j Pro", "s19jpro", "x19", "sha256d", 1e9, 3, 126, 105_000.0, 104_000.0, 3050, 545, 13_600,
            325, 4, 6500, "xil", 2**32, 131_072.0,
        ),
        Hardware(
            "Antminer S9", "s9", "s9", "sha256d", 1e9, 3, 63, 13_500.0, 13_500.0, 1320, 650, 9_200, 400, 2, 6000,
            "xil", 2**32, 8_192.0, first_board=6, first_fan=5,
        ),
    )
}  # fmt: skip
