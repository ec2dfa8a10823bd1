"""A job's adapter on the Hugging Face hub, for those who want it there.

Takes a job, a repository's name and a token, returns the address. The token goes into the
requests' headers and nowhere else: it is not kept, logged or put into a message. Knows no model.
"""

from __future__ import annotations

from huggingface_hub import HfApi, constants, get_session
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError
from huggingface_hub.utils import validate_repo_id

from reranker.errors import HubError, InputError
from reranker.jobs.job import Job
from reranker.jobs.trained import require_adapter

REACH_SECONDS = 5.0
PUSHED = ("adapter_config.json", "adapter_model.safetensors", "training.json", "README.md")
"""What an adapter's folder holds; anything somebody put beside these stays here."""


def push_adapter(
    job: Job, repo_id: str, token: str, *, private: bool = True, endpoint: str | None = None
) -> str:
    """Uploads the adapter with its model card as one commit; the repository's address.

    repo_id: "owner/name", made where it is not there yet. endpoint: another hub. Raises
    InputError for a job without an adapter, an impossible name or an empty token, and HubError
    when the hub refuses or cannot be reached.
    """
    require_adapter(job)
    repo_id, token = repo_id.strip(), token.strip()
    try:
        validate_repo_id(repo_id)
    except HFValidationError:
        repo_id = ""
    if repo_id.count("/") != 1:
        raise InputError("expected a repository as owner/name, got another form; correct it")
    if not token or not token.isascii() or not token.isprintable():
        raise InputError(
            "expected a token with the right to write, got none that can be one; make one under "
            "the hub's Settings, Access Tokens"
        )
    hub = HfApi(endpoint=endpoint, token=token)
    try:
        # The client itself would wait for ever, and try again for minutes.
        get_session().head(hub.endpoint or constants.ENDPOINT, timeout=REACH_SECONDS)
        hub.create_repo(repo_id, private=private, exist_ok=True)
        commit = hub.upload_folder(
            repo_id=repo_id,
            folder_path=job.folder / "adapter",
            allow_patterns=list(PUSHED),
            commit_message=f"Adapter of job {job.job_id}",
        )
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "no status"
        said = " ".join((error.server_message or "").split()).replace(token, "…")[:200]
        # The chain holds the request, and with it the token.
        raise HubError(
            f"expected the hub to take {repo_id}, got HTTP {status} {said}".rstrip()
            + "; check the name, and that the token may write there"
        ) from None
    except (HTTPError, OSError, ValueError, KeyError) as error:
        raise HubError(
            f"expected the hub at {hub.endpoint or constants.ENDPOINT} to answer, got "
            f"{type(error).__name__}; check the network, or download the adapter and upload it "
            "elsewhere"
        ) from None
    return str(commit.repo_url)
