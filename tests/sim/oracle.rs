//! What must be true of one machine: its disks at every sequence, what was acked, where it stands.

use std::rc::Rc;
use std::time::Duration;

use units::Sequence;
use wire::Consistency;

use super::keeping::{Past, Wishes};

/// The content of every disk of a machine at one sequence.
pub(crate) type Image = Rc<Vec<Vec<u8>>>;

/// Where a machine stands, as far as anybody was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stance {
    /// Known, and nothing more.
    Registered,
    /// Known, with disks that hold an earlier state.
    Original,
    /// The disks are being filled.
    Seeding,
    /// The disks follow the stream.
    Following,
    /// The disks stand at a sequence.
    At(u64),
    /// The disks were handed over at a sequence.
    Given(u64),
}

/// A granule of a target disk that rotted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rot {
    pub disk: usize,
    pub start: usize,
    /// The first point that is good again; none until the source has sent it again.
    pub good_from: Option<u64>,
}

impl Rot {
    fn spoils(&self, sequence: u64) -> bool {
        self.good_from.is_none_or(|good| sequence < good)
    }
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
    /// The markers that were sent.
    pub markers: Vec<(u64, Consistency)>,
    /// Parts of the target disks that rotted.
    pub rot: Vec<Rot>,
    /// What operators want kept.
    pub wishes: Wishes,
    /// How far the stream was when.
    pub past: Past,
    /// From where on, and for how long, everything is kept, while the policy says so.
    pub kept_since: Option<(Sequence, Duration)>,
    /// What a resync that is under way must leave.
    pub resync_keeps: Option<u64>,
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
            markers: Vec::new(),
            rot: Vec::new(),
            wishes: Wishes::default(),
            past: Past::default(),
            kept_since: None,
            resync_keeps: None,
        }
    }

    /// Returns what must be true of a machine whose disks hold an earlier state: that is the first point, which nobody sends.
    pub(crate) fn original(found: Vec<Vec<u8>>, lens: &[u64]) -> Self {
        let found = Rc::new(found);
        let (images, markers) = (vec![found.clone(), found], vec![(1, Consistency::Crash)]);
        Self { images, markers, stance: Stance::Original, ..Self::new(lens) }
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
        self.markers.retain(|(sequence, _)| *sequence <= durable);
    }

    /// Tells whether some of the target disks has rotted and was not sent again.
    pub(crate) fn is_rotten(&self) -> bool {
        self.rot.iter().any(|rot| rot.good_from.is_none())
    }

    /// Tells whether a point can't be judged as a whole.
    pub(crate) fn is_spoilt(&self, sequence: u64) -> bool {
        self.rot.iter().any(|rot| rot.spoils(sequence))
    }

    /// Makes `found` of a disk at a sequence equal to what it should be, where it rotted.
    pub(crate) fn look_away(&self, disk: usize, sequence: u64, expected: &[u8], found: &mut [u8]) {
        for rot in self.rot.iter().filter(|rot| rot.disk == disk && rot.spoils(sequence)) {
            let part = rot.start..expected.len().min(rot.start + units::GRANULE_LEN as usize);
            found[part.clone()].copy_from_slice(&expected[part]);
        }
    }

    /// Returns the last good point before a resync that is under way, of what is durable.
    pub(crate) fn good_before_resync(&self, durable: u64) -> Option<u64> {
        let mut there = self.markers.iter().filter(|(sequence, _)| *sequence <= durable);
        let good = there.clone().rfind(|(_, consistency)| *consistency >= Consistency::Crash)?.0;
        there
            .any(|(sequence, consistency)| *sequence > good && *consistency == Consistency::Resync)
            .then_some(good)
    }

    /// Confirms what was wanted.
    pub(crate) fn confirm(&mut self) {
        if let Some(wanted) = self.wanted.take() {
            self.stance = wanted;
        }
    }
}
