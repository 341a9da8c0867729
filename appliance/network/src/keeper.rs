//! The way to the keeper, for whoever may not change the network itself.

use std::io::{self, BufReader};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use netplan::Plan;

use crate::error::{NetworkError, failed};
use crate::network::Shown;
use crate::wish::{Answer, GREETING, Wish, read_line, write_line};

/// Where an appliance's keeper is reached.
pub const KEEPER_SOCKET: &str = "/run/landfall-network/socket";

/// How long a plan may take to be applied.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whoever keeps the network of this machine, reached over a socket. Each wish returns how the network stands after it.
#[derive(Clone, Debug)]
pub struct Keeper {
    socket: PathBuf,
}

impl Keeper {
    /// Names the socket; nothing is asked yet.
    pub fn at(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Says what is kept and what is tried. Errors: the keeper does not answer.
    pub fn show(&self) -> Result<Shown, NetworkError> {
        self.ask(|| Wish::Show)
    }

    /// Tries a plan. Errors: as [`Network::begin`](crate::Network::begin), or the keeper does not answer.
    pub fn begin(&self, plan: Plan) -> Result<Shown, NetworkError> {
        let plan = plan.check()?.into_plan();
        self.ask(|| Wish::Try(plan))
    }

    /// Keeps the plan that is tried. Errors: as [`Network::keep`](crate::Network::keep), or the keeper does not answer.
    pub fn keep(&self, opened: Instant) -> Result<Shown, NetworkError> {
        self.ask(|| Wish::Keep { age: opened.elapsed() })
    }

    /// Applies a plan and keeps it. Errors: as [`Network::set`](crate::Network::set), or the keeper does not answer.
    pub fn set(&self, plan: Plan) -> Result<Shown, NetworkError> {
        let plan = plan.check()?.into_plan();
        self.ask(|| Wish::Set(plan))
    }

    /// Rolls the plan that is tried back. Errors: as [`Network::cancel`](crate::Network::cancel), or the keeper does not answer.
    pub fn cancel(&self) -> Result<Shown, NetworkError> {
        self.ask(|| Wish::Cancel)
    }

    /// Asks; the wish is made once the keeper has time for it.
    fn ask(&self, wish: impl FnOnce() -> Wish) -> Result<Shown, NetworkError> {
        let asked = || {
            let stream = UnixStream::connect(&self.socket)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            let mut lines = BufReader::new(&stream);
            let greeting: String = read_line(&mut lines)?;
            if greeting != GREETING {
                return Err(io::Error::other(format!(
                    "{greeting:?} answers, which is no keeper of a network"
                )));
            }
            write_line(&stream, &wish())?;
            read_line(&mut lines)
        };
        match asked().map_err(failed("asked for the network", &self.socket))? {
            Answer::Stands(shown) => Ok(shown),
            Answer::Refused(refusal) => Err(refusal.into()),
            Answer::Failed(said) => Err(NetworkError::Keeper { said }),
        }
    }
}
