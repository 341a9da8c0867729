//! The terminal: raw while it is ours, and only what changed is written.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::{Color, Modifier};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::stdio::{stdin, stdout};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// What a serial line has that does not say.
const USUAL: (u16, u16) = (80, 24);
/// The largest screen that is drawn.
const WIDTH_MAX: u16 = 240;
const HEIGHT_MAX: u16 = 100;

/// A terminal that is ours, until it is dropped.
pub(super) struct Terminal {
    before: Termios,
    shown: Buffer,
}

impl Terminal {
    /// Takes standard input and output. Errors: they are no terminal.
    pub(super) fn take() -> io::Result<Self> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(io::Error::other("standard input and output are no terminal"));
        }
        let before = tcgetattr(stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw)?;
        Ok(Self { before, shown: Buffer::empty(Rect::ZERO) })
    }

    /// Waits for bytes: none came, or these; no byte at all when the terminal was closed.
    pub(super) fn read(&self, wait: Duration) -> io::Result<Option<Vec<u8>>> {
        let mut wanted = [PollFd::from_borrowed_fd(stdin(), PollFlags::IN)];
        let wait = Timespec::try_from(wait).map_err(io::Error::other)?;
        match poll(&mut wanted, Some(&wait)) {
            Ok(0) | Err(Errno::INTR) => return Ok(None),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut bytes = vec![0; 256];
        match rustix::io::read(stdin(), &mut bytes[..]) {
            Ok(count) => {
                bytes.truncate(count);
                Ok(Some(bytes))
            }
            Err(Errno::INTR | Errno::AGAIN) => Ok(None),
            // What a closed terminal says.
            Err(Errno::IO) => Ok(Some(Vec::new())),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes everything anew the next time: somebody else may have written on it.
    pub(super) fn forget(&mut self) {
        self.shown = Buffer::empty(Rect::ZERO);
    }

    /// Shows what is drawn.
    pub(super) fn show(&mut self, draw: impl FnOnce(&mut Buffer)) -> io::Result<()> {
        let area = area();
        let mut text = String::new();
        if self.shown.area != area {
            self.shown = Buffer::empty(area);
            text.push_str("\x1b[?25l\x1b[0m\x1b[2J");
        }
        let mut next = Buffer::empty(area);
        draw(&mut next);
        let (mut at, mut style) = (None, None);
        for (x, y, cell) in self.shown.diff(&next) {
            if at != Some((x, y)) {
                write!(text, "\x1b[{};{}H", y + 1, x + 1).map_err(io::Error::other)?;
            }
            let wanted = (cell.fg, cell.bg, cell.modifier);
            if style != Some(wanted) {
                text.push_str(&sequence(wanted));
                style = Some(wanted);
            }
            text.push_str(cell.symbol());
            at = Some((x + 1, y));
        }
        self.shown = next;
        if text.is_empty() {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Whatever fails here, there is nobody to be told.
        let _ = io::stdout().write_all(b"\x1b[0m\x1b[2J\x1b[H\x1b[?25h");
        let _ = io::stdout().flush();
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.before);
    }
}

fn area() -> Rect {
    let said = tcgetwinsize(stdout()).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
    let (width, height) = said.map_or(USUAL, |size| (size.ws_col, size.ws_row));
    Rect::new(0, 0, width.clamp(40, WIDTH_MAX), height.clamp(12, HEIGHT_MAX))
}

/// The eight colours every terminal has.
fn number(color: Color) -> u8 {
    match color {
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray | Color::White => 7,
        _ => 9,
    }
}

fn sequence((fg, bg, modifier): (Color, Color, Modifier)) -> String {
    let mut text = format!("\x1b[0;3{};4{}", number(fg), number(bg));
    for (flag, code) in [(Modifier::BOLD, ";1"), (Modifier::UNDERLINED, ";4")] {
        if modifier.contains(flag) {
            text.push_str(code);
        }
    }
    text + "m"
}
