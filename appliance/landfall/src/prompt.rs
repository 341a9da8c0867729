//! Questions to a person at a terminal.

use std::io::{self, Write};

use control::{ApiError, Code, ErrorReply};
use units::MachineName;

use crate::screen::Screen;

/// Returns the name that confirms what can't be undone: vouched for by `--yes`, or typed. Errors: nobody can be asked. What
/// is typed is compared by the server.
pub(crate) fn name_again(
    screen: &Screen,
    machine: &MachineName,
    vouched: bool,
    what: &str,
) -> Result<String, ErrorReply> {
    if vouched {
        return Ok(machine.to_string());
    }
    if !screen.can_ask() {
        let error = ApiError::new(Code::NotConfirmed, format!("machine {machine} was left as it is"));
        return Err(error
            .because("nobody can be asked: this is not a terminal")
            .fixed_by("add --yes")
            .into());
    }
    answer(&format!("{what}\nType the machine's name to go on: "))
}

/// Has the name of a device typed again, unless that is vouched for. Errors: nobody can be asked, or another name was typed.
pub(crate) fn device_again(
    screen: &Screen,
    device: &str,
    vouched: bool,
    what: &str,
) -> Result<(), ErrorReply> {
    let refused = || ApiError::new(Code::NotConfirmed, format!("{device} was left as it is"));
    if vouched {
        return Ok(());
    }
    if !screen.can_ask() {
        return Err(refused()
            .because("nobody can be asked: this is not a terminal")
            .fixed_by("add --yes")
            .into());
    }
    if answer(&format!("{what}\nType {device} to go on: "))? == device {
        return Ok(());
    }
    Err(refused().because("another name was typed").into())
}

/// Asks a question that anything but `y` or `yes` denies.
pub(crate) fn agreed(question: &str) -> Result<bool, ErrorReply> {
    let answer = answer(&format!("{question} [y/N] "))?;
    Ok(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Asks for a secret. It is shown while it is typed; a token is of no use to whoever sees it afterwards. Errors: nobody can be asked.
pub(crate) fn secret(screen: &Screen, question: &str) -> Result<String, ErrorReply> {
    if screen.can_ask() {
        return answer(question);
    }
    let error = ApiError::new(Code::BadArgument, "there is no token");
    Err(error.because("nobody can be asked: this is not a terminal").fixed_by("give --token-file").into())
}

/// Asks for a secret that is not shown while it is typed. Errors: nobody can be asked.
pub(crate) fn hidden(screen: &Screen, question: &str) -> Result<String, ErrorReply> {
    if !screen.can_ask() {
        let error = ApiError::new(Code::Passphrase, "there is no passphrase");
        let cause = "nobody can be asked: this is not a terminal";
        return Err(error.because(cause).fixed_by("give --passphrase-file").into());
    }
    let _hidden = Hidden::begin();
    let typed = answer(question);
    // The end of the line that was typed was not shown either.
    let _ = io::stderr().write_all(b"\n");
    typed
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden(Option<rustix::termios::Termios>);

impl Hidden {
    /// What can't be hidden is shown: some terminals have nothing to switch.
    fn begin() -> Self {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(io::stdin()).ok();
        if let Some(before) = &before {
            let mut silent = before.clone();
            silent.local_modes.remove(LocalModes::ECHO);
            let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &silent);
        }
        Self(before)
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Flush, before);
        }
    }
}

fn answer(question: &str) -> Result<String, ErrorReply> {
    let failed = |error: io::Error| {
        ErrorReply::from(ApiError::new(Code::NotConfirmed, "the question can't be asked").because(error))
    };
    let mut stderr = io::stderr().lock();
    stderr.write_all(question.as_bytes()).and_then(|()| stderr.flush()).map_err(failed)?;
    let mut line = String::new();
    io::stdin().read_line(&mut line).map_err(failed)?;
    Ok(line.trim().to_owned())
}
