"""Images from Kaggle, fetched by its own client: it resumes, checks what arrives, and shows how far it is.

Public datasets need no account; for others it takes the user's from the places it documents:
https://github.com/Kaggle/kagglehub#authenticate. What was fetched stays in its cache, ~/.cache/kagglehub or
KAGGLEHUB_CACHE.
"""

import re
import tarfile
from collections.abc import Iterable
from pathlib import Path

from filelock import FileLock

from src.core.raw import DAMAGE, Image
from src.download import container, local
from src.errors import UserError, printable
from src.params import Layout, Limits

AGAIN = (
    "Run the same command again, it goes on from what has arrived; or download the dataset by hand: "
    "-S source=local -S local_path=archive.zip"
)


def images(param: str, handle: str, labels: Iterable[str], layout: Layout, limits: Limits) -> list[Image]:
    """The images of the Kaggle dataset `handle`, which `param` names, under the dataset's own spelling of `labels`.

    Raises:
        UserError: Kaggle cannot be reached, or refuses, or sends something damaged; and as `local.listed`.
    """
    source = f"{param}: {handle}"
    path = fetch(source, handle)
    if "/versions/" not in handle and (version := re.search(r"/versions/(\d+)$", path.as_posix())):
        print(f"{handle} is at version {version[1]}\nTo stay with it: -S {param}={handle}/versions/{version[1]}")
    return local.listed(source, container.files(source, path, limits.total_bytes), labels, layout, limits)


def fetch(source: str, handle: str) -> Path:
    """The folder in kagglehub's cache that holds the dataset, downloaded if it is not there yet."""
    # Only here, because it takes a while and nobody else needs it.
    import kagglehub
    import requests
    from kagglehub.config import get_cache_folder, get_kaggle_credentials
    from kagglehub.exceptions import DataCorruptionError

    try:
        get_kaggle_credentials()
    except ValueError as error:
        raise UserError(f"{source}: {printable(str(error))}") from error
    folder = Path(get_cache_folder(), "datasets", *handle.split("/")[:2])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):  # two at once would write into one file
            try:
                return Path(kagglehub.dataset_download(handle))
            except requests.RequestException:  # some of them are ValueErrors as well
                raise
            except (tarfile.TarError, *DAMAGE) as error:
                # kagglehub keeps an archive that is complete but cannot be unpacked, and would never replace it.
                for archive in folder.glob("*.archive"):
                    archive.unlink()
                raise UserError(
                    f"{source}: what Kaggle sent cannot be unpacked, and has been removed: {printable(str(error))}"
                ) from error
    except DataCorruptionError as error:
        raise UserError(
            f"{source}: what arrived is not what Kaggle sent, and has been removed. Run the same command again"
        ) from error
    except requests.HTTPError as error:
        assert error.response is not None  # it is what the error is about
        raise UserError(f"{source}: {_refusal(error.response.status_code)}") from error
    except requests.RequestException as error:
        raise UserError(
            f"{source}: Kaggle cannot be reached, or the connection broke: {printable(str(error))}\n{AGAIN}.\n"
            f"A handle with its version, like {handle.split('/versions/')[0]}/versions/1, needs no connection "
            f"once it has been fetched"
        ) from error
    except OSError as error:
        why = printable(f"{folder} cannot be written: {error}")
        raise UserError(f"{source}: kagglehub's cache {why}") from error


def _refusal(status: int) -> str:
    if status in (401, 403):
        return (
            f"Kaggle refused ({status}). The dataset is private, or asks for consent on its page, or your "
            "credentials are wrong. kagglehub takes a token from the environment variable KAGGLE_API_TOKEN or the "
            "file ~/.kaggle/access_token; make one at https://www.kaggle.com/settings/api"
        )
    if status == 404:
        return "Kaggle has no such dataset, or no such version of it (404); correct the handle, owner/name"
    return f"Kaggle answered with status {status}. {AGAIN}"
