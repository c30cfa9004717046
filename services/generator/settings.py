"""The generator's settings, each from the environment variable of the same name in capitals."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from services.settings import KafkaSettings

Rate = Annotated[float, Meta(ge=0.1, le=10_000_000)] | Literal["max"]


class GeneratorSettings(KafkaSettings, frozen=True, kw_only=True):
    """Environment variables of the generator."""

    transactions_per_second: Annotated[
        Rate, Meta(description="The rate, from 0.1 on; max is as fast as it can.")
    ] = 1000.0
    transactions_profile: Annotated[
        Literal["uniform", "accounts"],
        Meta(
            description="What transactions are like: uniform, between accounts that never recur; "
            "or accounts, between accounts with habits, some of them robbed."
        ),
    ] = "uniform"
    transactions_accounts: Annotated[
        int, Meta(ge=10, le=10_000_000, description="How many accounts the profile accounts has.")
    ] = 10_000
    transactions_seed: (
        Annotated[int, Meta(ge=0, description="The same seed gives the same transactions.")] | None
    ) = None
    transactions_count: (
        Annotated[
            int,
            Meta(
                ge=1,
                description="Number of transactions after which it stops; by default never.",
            ),
        ]
        | None
    ) = None
