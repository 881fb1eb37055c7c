"""Publishing on the hub: an adapter or an export with its card, in one commit. Called by `lab export`.

The token is huggingface_hub's own (HF_TOKEN, or a login): it is not read, kept or shown here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import LabError, NotFoundError, UsageError
from lab.exporting.card import model_card
from lab.exporting.files import FACTS
from lab.launching.exports import check_exportable, exported
from lab.runs.reader import read_json
from lab.runs.store import RunInfo
from lab.text import byte_size, did_you_mean, sanitize

WHATS = {"adapter": "", "merged": "merge", "gguf": "gguf"}
CARD = "README.md"
_REPO = re.compile(r"(?=.{3,96}\Z)(?!.*(?:--|\.\.))\w[\w.-]*/\w(?:[\w.-]*\w)?", re.ASCII)


@dataclass(frozen=True)
class Upload:
    """What would be published.

    Attributes:
        files: by their names in the repository, without the card.
    """

    repo: str
    what: str
    private: bool
    files: dict[str, Path]
    card: str

    @property
    def bytes(self) -> int:
        return sum(path.stat().st_size for path in self.files.values())

    def as_json(self) -> dict[str, Any]:
        sizes = {name: path.stat().st_size for name, path in self.files.items()}
        head = {"repo": self.repo, "what": self.what, "private": self.private}
        return {**head, "files": sizes, "bytes": self.bytes, "card": self.card}

    def describe(self) -> str:
        """Return the card and the list of files, for people."""
        kind = "private" if self.private else "public"
        lines = [f"  {name}  {byte_size(path.stat().st_size)}" for name, path in self.files.items()]
        title = f"To {self.repo} ({kind}): {byte_size(self.bytes)} and the card above."
        return "\n".join([self.card, title, *lines])


def check_repo(repo: str) -> None:
    """Refuse what is no name of a repository. Raises UsageError."""
    if not _REPO.fullmatch(repo) or repo.endswith(".git"):
        shown = sanitize(repo, newlines=False, limit=100)
        raise UsageError(f"--repo {shown!r} is no name of a repository.", "Give it as USER/NAME.")


def plan_upload(info: RunInfo, repo: str, what: str, *, private: bool) -> Upload:
    """Return what would be published, without asking the hub anything.

    Raises:
        UsageError: a repository or a kind that cannot be.
        RunStateError: a run without whole weights.
        NotFoundError: nothing of that kind was exported, or it has gone.
    """
    check_repo(repo)
    if what not in WHATS:
        shown = sanitize(what, newlines=False, limit=60)
        raise UsageError(
            f"--what {shown!r} is not known.{did_you_mean(what, WHATS)}", f"Choose from {', '.join(WHATS)}."
        )
    check_exportable(info)
    if what == "adapter":
        files, export = _adapter_files(info), None
    else:
        files, export = _exported_files(info, what)
    return Upload(repo, what, private, files, model_card(info, what, repo, export))


def upload(plan: Upload, progress: Callable[[str], None]) -> str:
    """Publish: the repository is made where it is missing, and everything comes in one commit. Returns its address.

    Raises:
        LabError: the hub refuses or cannot be reached; without the commit nothing can be seen there.
    """
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError, HTTPError  # type: ignore[attr-defined]  # httpx's or httpx2's

    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None)
    operations = [CommitOperationAdd(name, str(path)) for name, path in plan.files.items()]
    operations.append(CommitOperationAdd(CARD, plan.card.encode()))
    try:
        progress(f"making {plan.repo}")
        api.create_repo(plan.repo, private=plan.private, exist_ok=True)
        progress(f"uploading {byte_size(plan.bytes)}")
        commit = api.create_commit(plan.repo, operations, commit_message=f"Upload {plan.what} with LoRA Lab")
    except HfHubHTTPError as error:
        raise _refused(error, plan.repo) from error
    except (HTTPError, ConnectionError, TimeoutError) as error:
        raise LabError("The hub cannot be reached.", "Check the network and HF_ENDPOINT, then try again.") from error
    except (RuntimeError, ValueError) as error:
        raise LabError(
            f"The upload to {plan.repo} broke off ({type(error).__name__}); nothing was published.",
            "Try again: what was sent is not sent twice.",
        ) from error
    return str(commit.commit_url)


def _adapter_files(info: RunInfo) -> dict[str, Path]:
    """Return the adapter's own files; the lab's record of stages stays here."""
    found = [
        path for path in sorted(info.run.adapter.glob("*")) if path.is_file() and path.name not in (CARD, "lab.json")
    ]
    if not found:
        raise NotFoundError(f"{info.id} has no adapter.", "Export a merged model: --what merged.")
    return {path.name: path for path in found}


def _exported_files(info: RunInfo, what: str) -> tuple[dict[str, Path], dict[str, Any]]:
    """Return the files of the newest export of this kind that is still as it was made, and its facts."""
    for record in reversed(exported(info)):
        folder = Path(str(record.get("target")))
        names = list(record.get("files") or {})
        whole = names and all((folder / name).is_file() for name in names)
        facts = read_json(folder / FACTS) or {}
        if record.get("kind") == WHATS[what] and whole and facts.get("run") == info.id:
            return {name: folder / name for name in [*names, FACTS]}, record
    command = "merge" if what == "merged" else what
    raise NotFoundError(
        f"Nothing of {info.id} was exported as {what}, or it has gone.",
        f"Make it: `lab export {command} {info.id} -o DIR`.",
    )


def _refused(error: Any, repo: str) -> LabError:
    status = error.response.status_code
    if status in (401, 403):
        return LabError(
            f"The hub does not let you write {repo} (status {status}).",
            "Set HF_TOKEN to a token that may write there, or run `hf auth login`.",
        )
    return LabError(f"The hub refused {repo} with status {status}.", "Check the name, or try again later.")
