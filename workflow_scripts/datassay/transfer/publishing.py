"""Publish an embedding space map on the hub, as hf-dataset-selector does. Says what it would do unless told to do it.

`python -m datassay.transfer.publishing FOLDER OWNER/NAME [--push]`
"""

import argparse
import tempfile
from pathlib import Path

from datassay.errors import DatassayError
from datassay.storage import PathLike
from datassay.transfer.registry import CARD, CONFIG, WEIGHTS, load_esm, save_esm

FILES = (CONFIG, WEIGHTS, CARD)


def publish(folder: PathLike, repository: str, *, push: bool = False) -> list[str]:
    """Upload config, weights and model card of an ESM; return a line on every step.

    Without `push` nothing leaves the machine: the lines say what would be done. An ESM in the legacy layout is written
    anew; hashes of the source's texts never go along. push needs a login (`hf auth login`). Raises DatassayError for a
    faulty ESM and a repository that is not OWNER/NAME.
    """
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise DatassayError(f"repository '{repository}': expected OWNER/NAME")
    about, esm = load_esm(folder)
    about.pop("report")
    with tempfile.TemporaryDirectory() as scratch:
        written = Path(scratch) / "esm"
        save_esm(written, esm, about)
        sizes = [f"{name} ({(written / name).stat().st_size:,} bytes)" for name in FILES]
        if push:
            _upload(written, repository)
    done = "created" if push else "would create"
    sent = "uploaded" if push else "would upload"
    return [f"{done} {repository}, of base model {about['base_model_name']}", *(f"{sent} {size}" for size in sizes)]


def _upload(folder: Path, repository: str) -> None:
    from huggingface_hub import HfApi

    hub = HfApi()
    try:
        hub.create_repo(repository, exist_ok=True)
        hub.upload_folder(repo_id=repository, folder_path=str(folder), allow_patterns=list(FILES))
    except Exception as error:  # each kind of fault of network, login and name has its own exception
        reason = " ".join(str(error).split())[:200]
        raise DatassayError(f"{repository}: cannot be uploaded ({type(error).__name__}: {reason})") from error


def main(arguments: list[str] | None = None) -> None:
    """Publish one ESM from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="folder of the ESM")
    parser.add_argument("repository", help="OWNER/NAME on the hub")
    parser.add_argument("--push", action="store_true", help="upload; without it nothing leaves this machine")
    given = parser.parse_args(arguments)
    try:
        print("\n".join(publish(given.folder, given.repository, push=given.push)))
    except DatassayError as error:
        parser.exit(1, f"error: {error}\n")


if __name__ == "__main__":
    main()
