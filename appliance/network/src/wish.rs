//! What is said over the keeper's socket: a greeting, one wish and one answer on each connection, each a line of JSON.

use std::io::{self, BufRead, Write};
use std::time::Duration;

use netplan::{Plan, Refusal};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::network::Shown;

/// Bytes of a line.
const LINE_LEN_MAX: u64 = 256 << 10;

/// What the keeper says first, once it has time for this connection.
pub(crate) const GREETING: &str = "landfall network 1";

/// What may be wished: nothing but plans.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Wish {
    Show,
    Try(Plan),
    /// With the age of the connection that this came by, as it was after the greeting: so it is never younger for the keeper than it was.
    Keep {
        age: Duration,
    },
    Set(Plan),
    Cancel,
}

/// What comes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Answer {
    /// It is done, and this is how the network stands.
    Stands(Shown),
    /// Nothing was changed.
    Refused(Refusal),
    /// It was not done, for a reason in words.
    Failed(String),
}

/// Writes a line.
pub(crate) fn write_line(mut to: impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    to.write_all(&line)
}

/// Reads a line. Errors: it is too long, cut off, or says something else.
pub(crate) fn read_line<T: DeserializeOwned>(from: impl BufRead) -> io::Result<T> {
    let mut line = Vec::new();
    from.take(LINE_LEN_MAX).read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("the line has no end within {LINE_LEN_MAX} bytes"),
        ));
    }
    Ok(serde_json::from_slice(&line)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_cut_too_long_or_say_something_else_are_refused() {
        let mut line = Vec::new();
        write_line(&mut line, &Wish::Show).expect("it is short");
        assert_eq!(read_line::<Wish>(&line[..]).expect("it is whole"), Wish::Show);
        for len in 0..line.len() {
            read_line::<Wish>(&line[..len]).expect_err("it is cut");
        }
        read_line::<Wish>(&b"{\"run\":\"reboot\"}\n"[..]).expect_err("nothing but plans");
        let long = vec![b' '; LINE_LEN_MAX as usize + 1];
        read_line::<Wish>(&long[..]).expect_err("it is too long");
    }
}
