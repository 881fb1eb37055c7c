"""Whether detached runs outlive a logout, or the login manager (systemd-logind) ends them. A check of `lab doctor`."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from lab.telemetry.check import Check

MINE = Path("/proc/self/cgroup")
# In logind's order of precedence; drop-ins of the same name hide each other in this order, too.
CONFIG_ROOTS = (Path("/etc/systemd"), Path("/run/systemd"), Path("/usr/local/lib/systemd"), Path("/usr/lib/systemd"))
ASK_SECONDS = 5.0
ASK_LOGIND = (
    "busctl",
    "get-property",
    "org.freedesktop.login1",
    "/org/freedesktop/login1",
    "org.freedesktop.login1.Manager",
    "KillUserProcesses",
)
SAFE = "Run `loginctl enable-linger` once, and start the lab as `systemd-run --user --scope lab ...`."

Place = Literal["session", "user manager", "outside"]


def logout() -> Check:
    """Judge where this process stands: a worker starts there, too, and stays in the same control group."""
    try:
        place = place_of(MINE.read_text())
    except OSError:  # no Linux
        place = "outside"
    if place == "outside":
        return Check("logout", "ok", "not inside a login session: detached runs go on")
    if place == "user manager":
        return of_user_manager(lingers())
    return of_session(kills_sessions(), root=os.getuid() == 0)


def place_of(cgroup: str) -> Place:
    """Tell from the content of /proc/self/cgroup whether logind ends this process with something, and with what."""
    if re.search(r"/session-[^/]+\.scope", cgroup):
        return "session"
    return "user manager" if re.search(r"/user@\d+\.service", cgroup) else "outside"


def of_user_manager(lingering: bool | None) -> Check:
    """Judge a process below user@UID.service: that ends with the user's last session, whatever KillUserProcesses is."""
    if lingering:
        return Check("logout", "ok", "your user manager lingers: detached runs go on")
    found = "lingering is off: detached runs end with your last session"
    if lingering is None:
        found = "detached runs end with your last session, unless your user lingers"
    return Check("logout", "warn", found, "Run `loginctl enable-linger` once.")


def of_session(kills: bool | None, *, root: bool) -> Check:
    """Judge a process in a login session's own scope; lingering alone does not save it, and neither does tmux."""
    if root:
        return Check("logout", "ok", "root's processes are left alone: detached runs go on")
    if kills is False:
        return Check("logout", "ok", "KillUserProcesses=no: detached runs go on")
    if kills is None:
        return Check("logout", "warn", "KillUserProcesses is not known: detached runs may end when you log out", SAFE)
    return Check("logout", "warn", "KillUserProcesses=yes: detached runs end when you log out, tmux too", SAFE)


def kills_sessions() -> bool | None:
    """Ask logind, which knows its built-in default; where it does not answer, read its files."""
    answer = _ask(ASK_LOGIND)
    if answer in ("b true", "b false"):
        return answer == "b true"
    return configured(CONFIG_ROOTS)


def configured(roots: Sequence[Path]) -> bool | None:
    """Return KillUserProcesses as the files of logind set it, None where they leave it to the built-in default.

    Args:
        roots: folders that may hold logind.conf and logind.conf.d, the strongest first.
    """
    value = None
    for path in _files(roots):
        for line in path.read_text(errors="replace").splitlines():
            key, _, word = line.partition("=")
            if key.strip() == "KillUserProcesses":
                value = {"yes": True, "true": True, "on": True, "1": True}.get(word.strip().lower(), False)
    return value


def _files(roots: Sequence[Path]) -> Iterator[Path]:
    """Yield one main file, then the drop-ins of all folders by name: what is read later wins."""
    yield from [root / "logind.conf" for root in roots if (root / "logind.conf").is_file()][:1]
    dropins: dict[str, Path] = {}
    for root in roots:
        for path in (root / "logind.conf.d").glob("*.conf"):
            dropins.setdefault(path.name, path)
    yield from (dropins[name] for name in sorted(dropins))


def lingers() -> bool | None:
    """Tell whether the user manager stays when the user is logged out; None where loginctl does not say."""
    answer = _ask(("loginctl", "show-user", pwd.getpwuid(os.getuid()).pw_name, "--property=Linger"))
    return {"Linger=yes": True, "Linger=no": False}.get(answer)


def _ask(command: Sequence[str]) -> str:
    try:
        result = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=ASK_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip()
