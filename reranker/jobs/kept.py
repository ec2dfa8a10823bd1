"""What jobs keep on the disk: the files they learn from, and removing a job with what only it used.

Takes files, jobs and the folder of all jobs. Knows no format and no model.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from reranker.errors import InputError
from reranker.jobs.folder import hash_file
from reranker.jobs.job import list_jobs, read_job

KEPT = "data"


def keep_file(source: Path, root: Path) -> Path:
    """A copy beside the jobs, in a folder named by what is in it: the same file is kept once.

    Raises InputError when it cannot be written.
    """
    try:
        folder = root / KEPT / hash_file(source)[:16]
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / source.name)
    except OSError as error:
        raise InputError(
            f"expected room for the file beside the jobs, got {error.strerror}; free some "
            "space, or set DEAR_JOBS to another folder"
        ) from error
    return folder / source.name


def delete_job(job_id: str, root: Path) -> None:
    """Removes a job's folder, and the kept file it learnt from when no other job learns from it.

    Raises InputError while the job runs, and when the disk refuses.
    """
    job = read_job(job_id, root)
    if not job.ended:
        raise InputError(f"expected a job that has ended, got {job_id!r}; stop it first")
    try:
        shutil.rmtree(job.folder)
        train = Path(job.settings.data.train)
        shared = any(other.settings.data.train == str(train) for other in list_jobs(root))
        if train.parent.parent == root / KEPT and not shared:
            shutil.rmtree(train.parent)
    except OSError as error:
        raise InputError(
            f"expected to remove the job's files, got {error.strerror}; look after their owner "
            "and try again"
        ) from error
