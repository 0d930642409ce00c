"""How the kind `lamp` is proven."""

from __future__ import annotations

from tests.prove.declared import Provable, Scenario, leaving

PROVE = Provable(
    scenarios=(
        Scenario("onboarding", "waiting_bulb", lambda world, names: world.write(names)),
        Scenario("login", "completed", lambda world, names: world.help(names), after="onboarding"),
        Scenario("change", "completed", lambda world, names: world.change(names), after="login"),
        *leaving(after="change", back="completed"),
    ),
    changed=lambda name: f"kind: lamp\nroom: {name}\nshade: {{colour: red}}\n",
)
