//! Where clients come in: a unix socket of our user's alone, or TCP.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::ServerError;
use crate::socket::Socket;

/// Where clients come in.
pub(crate) enum Listener {
    Unix { listener: UnixListener, path: PathBuf },
    Tcp { listener: TcpListener, address: SocketAddr },
}

impl Listener {
    /// Listens at a path nobody uses, or where a socket was left behind. In order, so that nobody ever sees it open to all:
    /// 1. bound under another name; 2. made private; 3. moved into place, unless something has come there meanwhile.
    pub(crate) fn unix(path: &Path) -> Result<Self, ServerError> {
        let refused = |source| ServerError::Listen { address: format!("unix:{}", path.display()), source };
        remove_dead(path)?;
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".{}", std::process::id()));
        let draft = PathBuf::from(draft);
        let listener = UnixListener::bind(&draft).map_err(refused)?;
        let placed = fs::set_permissions(&draft, Permissions::from_mode(0o600))
            .and_then(|()| listener.set_nonblocking(true))
            .and_then(|()| Ok(renameat_with(CWD, &draft, CWD, path, RenameFlags::NOREPLACE)?));
        match placed {
            Ok(()) => Ok(Self::Unix { listener, path: path.to_owned() }),
            Err(error) => {
                // Nobody knows of the draft; it is of no use.
                drop(fs::remove_file(&draft));
                match error.kind() {
                    ErrorKind::AlreadyExists => Err(ServerError::Taken { socket: path.to_owned() }),
                    _ => Err(refused(error)),
                }
            }
        }
    }

    /// Listens at `host:port`; port 0 is any that is free.
    pub(crate) fn tcp(address: &str) -> Result<Self, ServerError> {
        let bind = || {
            let addresses: Vec<SocketAddr> = address.to_socket_addrs()?.collect();
            let listener = TcpListener::bind(addresses.as_slice())?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok(Self::Tcp { listener, address })
        };
        bind().map_err(|source| ServerError::Listen { address: address.to_owned(), source })
    }

    /// Takes a client that has come. Errors: none has, or the system refuses.
    pub(crate) fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Unix { listener, .. } => listener.accept().map(|(stream, _)| Socket::Unix(stream)),
            Self::Tcp { listener, .. } => listener.accept().map(|(stream, _)| Socket::Tcp(stream)),
        }
    }

    /// Returns the TCP address; `None` for a unix socket.
    pub(crate) fn tcp_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Unix { .. } => None,
            Self::Tcp { address, .. } => Some(*address),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix { listener, .. } => listener.as_fd(),
            Self::Tcp { listener, .. } => listener.as_fd(),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix { path, .. } = self
            && let Err(error) = fs::remove_file(&*path)
        {
            tracing::warn!(socket = %path.display(), %error, "NBD socket not removed");
        }
    }
}

/// Removes a socket at which nobody answers any more. Errors: somebody does, or it is no socket.
fn remove_dead(path: &Path) -> Result<(), ServerError> {
    let taken = || Err(ServerError::Taken { socket: path.to_owned() });
    match fs::symlink_metadata(path) {
        Err(_) => return Ok(()),
        Ok(found) if !found.file_type().is_socket() => return taken(),
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            // Whatever keeps it from being removed keeps us from taking its place, and is told then.
            drop(fs::remove_file(path));
            Ok(())
        }
        _ => taken(),
    }
}
