"""Where the metadata of an installation is: in `lamina.sqlite` in its folder, or in a PostgreSQL database.

DIR/database.url names the PostgreSQL database. It is written when the service is first told of one, so that every
later command finds it, and nobody starts an empty SQLite beside it by leaving an option out.
"""

from pathlib import Path
from typing import Final

from lamina.control.root_key import write_private
from lamina.database import Database
from lamina.failures import Refusal

EMBEDDED_FILE: Final = "lamina.sqlite"
URL_FILE: Final = "database.url"


def has_metadata(directory: Path) -> bool:
    """Whether an installation was made in the folder."""
    return (directory / EMBEDDED_FILE).exists() or (directory / URL_FILE).exists()


def find_url(directory: Path, wanted: str | None) -> str | None:
    """The URL of the PostgreSQL database of an installation; None if it uses the embedded one.

    Args:
        directory: the installation's folder.
        wanted: what the operator asks for now; it replaces what is remembered: the server may have moved.

    Raises:
        Refusal: the metadata is embedded already, or the file cannot be read.
    """
    if wanted is not None and (directory / EMBEDDED_FILE).exists():
        raise Refusal(
            f"the metadata of {directory} is in its {EMBEDDED_FILE}; leave the database's URL out, or start with "
            "an empty folder"
        )
    path = directory / URL_FILE
    try:
        remembered = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return wanted
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(f"{path} cannot be read: {error}") from error
    return wanted or remembered


def open_metadata_at(directory: Path, url: str | None) -> Database:
    """Open the database of an installation, made if there is none; a URL is remembered once it works.

    Args:
        directory: the installation's folder.
        url: from `find_url`.

    Raises:
        Refusal: the URL is not one of a database that is offered.
        DatabaseFaultError: it cannot be opened.
    """
    if url is None:
        path = directory / EMBEDDED_FILE
        path.touch(mode=0o600)  # SQLite would make it readable for others, and its journals like it
        return Database.open(f"sqlite:///{path}")
    database = Database.open(url)
    path = directory / URL_FILE
    if find_url(directory, None) != url:
        with database.transaction() as session:
            session.connection()  # from here on, no other process of this database writes the file
            write_private(path, f"{url}\n".encode())
    return database
