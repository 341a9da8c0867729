//! The door on 443, over real sockets, with rustls and with `openssl`.

mod door;
mod hostile;
mod town;
