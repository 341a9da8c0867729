//! The connections of an installation.

use std::collections::BTreeMap;
use std::time::Duration;

use super::line::Line;
use crate::sim::random::Random;

/// See the module.
#[derive(Default)]
pub(crate) struct Network {
    lines: BTreeMap<u64, Line>,
    next: u64,
}

impl Network {
    pub(crate) fn open(&mut self, machine: usize, now: Duration) -> u64 {
        self.next += 1;
        self.lines.insert(self.next, Line::new(machine, now));
        self.next
    }

    pub(crate) fn line(&mut self, id: u64) -> &mut Line {
        self.lines.get_mut(&id).expect("a connection is kept as long as one end knows it")
    }

    pub(crate) fn pick(&mut self, random: &mut Random) -> Option<(u64, &mut Line)> {
        let count = self.lines.len() as u64;
        (count > 0)
            .then(|| random.below(count) as usize)
            .and_then(|nth| self.lines.iter_mut().nth(nth).map(|(id, line)| (*id, line)))
    }

    pub(crate) fn all(&mut self) -> impl Iterator<Item = &mut Line> {
        self.lines.values_mut()
    }

    /// Forgets connections that both ends are done with.
    pub(crate) fn sweep(&mut self, in_use: &[u64]) {
        self.lines.retain(|id, line| !matches!(line.end, super::line::End::Over) || in_use.contains(id));
    }
}
