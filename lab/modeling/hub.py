"""The Hugging Face hub before a download: does this model exist, may we read it, which commit is it.

Called by `source.resolve_model`; `hub_error` also serves data sets. Answers come from the hub, or from its local cache
where HF_HUB_OFFLINE is set or the hub cannot be reached.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lab.errors import LabError, NotFoundError
from lab.modeling.folder import missing_in_folder, missing_part
from lab.text import sanitize

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

HUB = "https://huggingface.co"
TIMEOUT_SECONDS = 10.0

RepoKind = Literal["model", "dataset"]


def model_commit(repo_id: str, revision: str) -> str | None:
    """Return the commit that `revision` of a hub model stands for now, having checked that it can be downloaded.

    Honours HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE.

    Raises:
        NotFoundError: no such model or revision, gated or private, without weights, or offline and not in the cache.
        LabError: the hub answered with another error.
    """
    from huggingface_hub import HfApi, is_offline_mode
    from huggingface_hub.errors import HfHubHTTPError, HTTPError  # type: ignore[attr-defined]  # httpx's or httpx2's

    if is_offline_mode():
        return _cached_commit(repo_id, revision, "HF_HUB_OFFLINE is set")
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None)
    try:
        info = api.model_info(repo_id, revision=revision, timeout=TIMEOUT_SECONDS)
        if info.gated:  # the hub tells anyone about a gated model; only this call says whether its files can be had
            api.auth_check(repo_id)
    except HfHubHTTPError as error:
        raise hub_error(error, repo_id, revision) from error
    except HTTPError:
        return _cached_commit(repo_id, revision, "The hub cannot be reached")
    except ValueError as error:  # a captive portal's page, say
        raise LabError(
            f"What answered for the hub model '{repo_id}' is no hub.", "Check HF_ENDPOINT, or any proxy."
        ) from error
    if info.siblings and (lack := missing_part({file.rfilename for file in info.siblings})):
        raise NotFoundError(
            f"The hub model '{repo_id}' lacks {lack}.", f"Set model.name to a model with weights; see {HUB}/{repo_id}."
        )
    return info.sha


def _cached_commit(repo_id: str, revision: str, why: str) -> str:
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(repo_id, "config.json", revision=revision)
    if isinstance(config, str) and missing_in_folder(Path(config).parent) is None:
        return Path(config).parent.name
    raise NotFoundError(
        f"{why}, and '{repo_id}' at '{sanitize(revision, newlines=False)}' is not in the local cache.",
        "Fetch it with `lab fetch` where the hub can be reached, or set model.name to a folder.",
    )


def hub_error(error: HfHubHTTPError, repo_id: str, revision: str, kind: RepoKind = "model") -> LabError:
    """Return the lab's error for a refusal of the hub: which page to visit, which variable to set."""
    from huggingface_hub import get_token
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    what = "data set" if kind == "dataset" else kind
    page = f"{HUB}/datasets/{repo_id}" if kind == "dataset" else f"{HUB}/{repo_id}"
    status = error.response.status_code
    if isinstance(error, GatedRepoError):
        problem = f"The {what} '{repo_id}' is gated, and "
        if get_token():
            return NotFoundError(problem + "HF_TOKEN's account may not read it.", f"Ask for access on {page}.")
        return NotFoundError(problem + "no token is set.", f"Accept its terms on {page}, then set HF_TOKEN.")
    if isinstance(error, RevisionNotFoundError):
        return NotFoundError(
            f"The {what} '{repo_id}' has no revision '{sanitize(revision, newlines=False)}'.",
            f"Set revision to a branch, a tag or a full commit of {page}/commits.",
        )
    # The hub says 401 both for a bad token and, to whoever sends none, for what is missing or private.
    if status == 401 and error.response.headers.get("X-Error-Message", "").startswith("Invalid credentials"):
        return NotFoundError(
            f"The hub does not accept the token with which '{repo_id}' was asked for.",
            f"Set HF_TOKEN to a valid token of {HUB}/settings/tokens, or unset it.",
        )
    if isinstance(error, RepositoryNotFoundError) or status == 401:
        return NotFoundError(
            f"The hub has no {what} '{repo_id}', or it is private{'' if get_token() else ' and no token is set'}.",
            f"Check the name on {page}, or set HF_TOKEN to a token that may read it.",
        )
    return LabError(
        f"The hub answered with status {status} when asked for the {what} '{repo_id}'.",
        "Try again later, or name a local copy instead.",
    )
