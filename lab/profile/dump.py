"""Writing a resolved profile as TOML that the lab can read again."""

from __future__ import annotations

from typing import Any

import tomlkit

from lab.profile.schema import Profile


def to_toml(profile: Profile) -> str:
    """Return all values of `profile`, defaults included, as a profile file."""
    document = tomlkit.document()
    for key, value in profile.model_dump().items():
        document.add(key, _item(value))
    return tomlkit.dumps(document)


def _item(value: Any) -> Any:
    if isinstance(value, dict):
        table = tomlkit.table()
        for key, item in value.items():
            if item is not None:  # TOML has no word for nothing: the key is left out
                table.add(key, _item(item))
        return table
    if isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
        array = tomlkit.aot()
        for entry in value:
            array.append(_item(entry))
        return array
    return tomlkit.item(value)
