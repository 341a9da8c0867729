//! The server as clients find it: programs that nobody here wrote, and bytes written by hand.

mod lab;
mod requests;
mod tls;
mod unix;
