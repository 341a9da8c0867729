//! The control socket as a file: taken by one server at a time, seen by its own user only.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Why a server can't serve.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Another server has the socket.
    #[error("{} is served by another landfalld", socket.display())]
    Taken {
        /// The socket.
        socket: PathBuf,
    },
    /// Something else is where the socket should be; it was left alone.
    #[error("{} is there already and is not a socket", socket.display())]
    NotASocket {
        /// The socket.
        socket: PathBuf,
    },
    /// The system refused.
    #[error("{} can't be {operation}", path.display())]
    Io {
        /// What was tried: `locked`, `bound` and so on.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A bound socket; the file goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Socket {
    path: PathBuf,
    listener: UnixListener,
    _lock: File,
}

impl Socket {
    /// Takes the socket at `path`. In order: 1. a lock beside it, held for life, so that two servers starting together
    /// can't both win; 2. a probe, so that a living server without the lock is respected; 3. bound under another
    /// name and made private; 4. moved into place, so that nobody ever sees it open to all.
    pub(crate) fn take(path: &Path) -> Result<Self, ServerError> {
        let failed = |operation, at: &Path| {
            let path = at.to_owned();
            move |source| ServerError::Io { operation, path, source }
        };
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(failed("made", directory))?;
        }
        let lock = lock(path)?;
        refuse_living(path)?;
        let draft = beside(path, ".new");
        let _ = fs::remove_file(&draft);
        let listener = UnixListener::bind(&draft).map_err(failed("bound", &draft))?;
        fs::set_permissions(&draft, Permissions::from_mode(0o600)).map_err(failed("made private", &draft))?;
        fs::rename(&draft, path).map_err(failed("put in place", path))?;
        listener.set_nonblocking(true).map_err(failed("set up", path))?;
        Ok(Self { path: path.to_owned(), listener, _lock: lock })
    }

    /// Returns a second handle of the listener. Errors: no descriptor is left.
    pub(crate) fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(socket = %self.path.display(), %error, "control socket not removed");
        }
    }
}

fn lock(socket: &Path) -> Result<File, ServerError> {
    let path = beside(socket, ".lock");
    let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file =
        opened.map_err(|source| ServerError::Io { operation: "opened", path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ServerError::Taken { socket: socket.to_owned() }),
        Err(TryLockError::Error(source)) => Err(ServerError::Io { operation: "locked", path, source }),
    }
}

/// Refuses a path where somebody answers, or that is no socket.
fn refuse_living(path: &Path) -> Result<(), ServerError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(ServerError::Io { operation: "looked at", path: path.to_owned(), source }),
        Ok(found) if !found.file_type().is_socket() => {
            Err(ServerError::NotASocket { socket: path.to_owned() })
        }
        Ok(_) => match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            Err(source) => Err(ServerError::Io { operation: "probed", path: path.to_owned(), source }),
            Ok(_) => Err(ServerError::Taken { socket: path.to_owned() }),
        },
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
