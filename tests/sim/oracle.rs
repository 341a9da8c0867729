//! What must be true of one machine: its disks at every sequence, what was acked, where it stands.

use std::rc::Rc;

/// The content of every disk of a machine at one sequence.
pub(crate) type Image = Rc<Vec<Vec<u8>>>;

/// Where a machine stands, as far as anybody was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stance {
    /// Known, and nothing more.
    Registered,
    /// The disks are being filled.
    Seeding,
    /// The disks follow the stream.
    Following,
    /// The disks stand at a sequence.
    At(u64),
    /// The disks were handed over at a sequence.
    Given(u64),
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Oracle {
    /// By sequence; 0 is what was seeded.
    pub images: Vec<Image>,
    /// The highest sequence anybody was told is durable.
    pub acked: u64,
    /// What was confirmed last.
    pub stance: Stance,
    /// What was asked for and not yet confirmed: a crash may find it or the one before.
    pub wanted: Option<Stance>,
    /// What has been seeded, whether or not it is durable.
    pub seeded: Vec<Vec<u8>>,
    /// For each disk, how far a seed sync was confirmed.
    pub through: Vec<u64>,
}

impl Oracle {
    pub(crate) fn new(lens: &[u64]) -> Self {
        Self {
            images: Vec::new(),
            acked: 0,
            stance: Stance::Registered,
            wanted: None,
            seeded: lens.iter().map(|len| vec![0; *len as usize]).collect(),
            through: vec![0; lens.len()],
        }
    }

    /// Returns the sequence that was sent last.
    pub(crate) fn sent(&self) -> u64 {
        (self.images.len() as u64).saturating_sub(1)
    }

    pub(crate) fn newest(&self) -> &Image {
        self.images.last().expect("a stream begins with what was seeded")
    }

    pub(crate) fn image(&self, sequence: u64) -> &Image {
        &self.images[sequence as usize]
    }

    /// Forgets what a crash has lost: everything after `durable` will be sent anew, and differently.
    pub(crate) fn forget_after(&mut self, durable: u64) {
        self.images.truncate(durable as usize + 1);
    }

    /// Confirms what was wanted.
    pub(crate) fn confirm(&mut self) {
        if let Some(wanted) = self.wanted.take() {
            self.stance = wanted;
        }
    }
}
