//! How far a job is: a bar for people, lines for programs.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use control::api::{JobId, Progress};
use control::{ErrorReply, Line};
use units::ByteLen;

use crate::screen::Screen;
use crate::span::{percent, span};

/// Work shorter than this shows no bar.
const PATIENCE: Duration = Duration::from_secs(2);
const BAR_CELLS: u64 = 24;

/// Shows the progress of one job.
#[derive(Debug)]
pub(crate) struct ProgressView<'a> {
    screen: &'a Screen,
    begun: Instant,
    terminal: bool,
    drawn: bool,
    failed: Option<ErrorReply>,
    /// What is shown is no job of landfalld's.
    own: bool,
}

impl<'a> ProgressView<'a> {
    /// Begins; nothing is drawn yet.
    pub(crate) fn new(screen: &'a Screen) -> Self {
        let terminal = io::stderr().is_terminal();
        Self { screen, begun: Instant::now(), terminal, drawn: false, failed: None, own: false }
    }

    /// Begins for work of this program itself: programs that read the output are told its end only.
    pub(crate) fn beside(screen: &'a Screen) -> Self {
        Self { own: true, ..Self::new(screen) }
    }

    /// Takes the next progress.
    pub(crate) fn advance(&mut self, progress: &Progress) {
        if self.screen.is_json() {
            if self.own {
                return;
            }
            let line = Line::<()>::Progress(progress.clone());
            self.failed = self.screen.json(&line).err().or(self.failed.take());
        } else if self.terminal && self.begun.elapsed() >= PATIENCE {
            if !self.drawn && !self.own {
                self.put(&format!("{}\n", hint(progress.job)));
            }
            self.drawn = true;
            self.put(&format!("\r{}\x1b[K", bar(progress)));
        }
    }

    /// Clears the bar. Errors: a line could not be written.
    pub(crate) fn end(self) -> Result<(), ErrorReply> {
        if self.drawn {
            self.put("\r\x1b[K");
        }
        self.failed.map_or(Ok(()), Err)
    }

    /// A bar that can't be drawn is no reason to stop.
    fn put(&self, text: &str) {
        let mut stderr = io::stderr().lock();
        let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
    }
}

fn hint(job: JobId) -> String {
    format!("job {job} goes on if you leave with Ctrl-C; `landfall job watch {job}` rejoins it")
}

fn bar(progress: &Progress) -> String {
    let (done, total) = (progress.done_bytes.min(progress.total_bytes), progress.total_bytes);
    let cells = (u128::from(done) * u128::from(BAR_CELLS)).checked_div(u128::from(total)).unwrap_or(0);
    let full = usize::try_from(cells).expect("a part of the bar's cells");
    let bar = "#".repeat(full) + &"·".repeat(BAR_CELLS as usize - full);
    let left =
        progress.eta_seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{} left", span(seconds)));
    // A total of 0 is one that is not known yet.
    let part = if total == 0 { "-".to_owned() } else { percent(done, total) };
    let rate = ByteLen(progress.rate);
    format!("[{bar}] {part:>5}  {} of {}  {rate}/s  {left}", ByteLen(done), ByteLen(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_shows_part_bytes_rate_and_end() {
        let progress = Progress {
            job: JobId(4),
            done_bytes: 512 << 20,
            total_bytes: 2 << 30,
            rate: 256 << 20,
            eta_seconds: Some(6),
        };
        assert_eq!(bar(&progress), "[######··················]  25 %  512 MiB of 2 GiB  256 MiB/s  6 s left");
        let nothing = Progress { job: JobId(4), done_bytes: 9, total_bytes: 0, rate: 0, eta_seconds: None };
        assert_eq!(bar(&nothing), "[························]     -  0 B of 0 B  0 B/s  -");
    }
}
