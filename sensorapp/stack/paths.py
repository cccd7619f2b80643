"""Where the clone keeps its own data, and the addresses of the services started there.

Standard library only: it is read before anything is installed, and by the settings.
"""

import hashlib
import os
from pathlib import Path
from urllib.parse import parse_qs, quote, urlencode, urlsplit

ROOT = Path(__file__).resolve().parents[2]

DATABASE = "sensorapp"
DATABASE_USER = "sensorapp"

# sockaddr_un.sun_path holds 108 bytes on Linux and 104 on the BSDs and macOS.
SOCKET_PATH_LIMIT = 100
POSTGRES_SOCKET = ".s.PGSQL.5432"
# Not $TMPDIR, which may differ between the processes of one clone, and be long itself.
SHORT_FOLDER = Path("/tmp")


def var_folder() -> Path:
    """Everything that is written while the project runs: `var/` in the clone, or `SENSORAPP_VAR`."""
    return Path(os.environ.get("SENSORAPP_VAR") or ROOT / "var").absolute()


def is_given(variable: str) -> bool:
    """Whether the environment names a service, so that none is started for it."""
    return variable in os.environ or f"{variable}_FILE" in os.environ


def lock_file() -> Path:
    """Held by the one process that may start and stop the services of a `var/` folder."""
    return var_folder() / "stack.lock"


def socket_folder() -> Path:
    """Folder of the Unix sockets: below `var/`, or below `/tmp` where that path would be too long.

    The fallback's name is derived from the folder it stands for, so that every process of one clone
    finds the same one.
    """
    var = var_folder()
    if len(os.fsencode(var / "run" / "postgres" / POSTGRES_SOCKET)) <= SOCKET_PATH_LIMIT:
        return var / "run"
    digest = hashlib.sha256(os.fsencode(var)).hexdigest()[:12]
    return SHORT_FOLDER / f"sensorapp-{os.getuid()}-{digest}"


def postgres_socket_folder() -> Path:
    """Folder in which the embedded PostgreSQL listens."""
    return socket_folder() / "postgres"


def valkey_socket() -> Path:
    """Socket on which the embedded Valkey listens."""
    return socket_folder() / "valkey.sock"


def database_url(database: str = DATABASE) -> str:
    """Address of the embedded PostgreSQL, as `DATABASE_URL` would give it."""
    host = quote(os.fsencode(postgres_socket_folder()), safe="/")
    return f"postgresql:///{database}?host={host}&user={DATABASE_USER}"


def redis_url(db: int = 0, socket: Path | None = None) -> str:
    """Address of the embedded Valkey, as `REDIS_URL` would give it."""
    return f"unix://{quote(os.fsencode(socket or valkey_socket()), safe='/')}?db={db}"


def broker_url(redis_url: str) -> str:
    """The same Redis address as Celery spells it: `unix://…?db=0` is `redis+socket://…?virtual_host=0`."""
    parts = urlsplit(redis_url)
    if parts.scheme != "unix":
        return redis_url
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    query["virtual_host"] = query.pop("db", "0")
    return f"redis+socket://{parts.path}?{urlencode(query)}"
