//! A protected machine: it writes to its disks whenever it likes.

use crate::sim::random::Random;

/// See the module.
pub(crate) struct Guest {
    pub disks: Vec<Vec<u8>>,
    /// Writes so far: what an activity stamp tells.
    pub writes: u64,
}

impl Guest {
    pub(crate) fn new(lens: &[u64], random: &mut Random) -> Self {
        let mut guest = Self { disks: lens.iter().map(|len| vec![0; *len as usize]).collect(), writes: 0 };
        for _ in 0..random.below(12) {
            guest.write(random);
        }
        guest
    }

    /// Writes a few sectors somewhere.
    pub(crate) fn write(&mut self, random: &mut Random) {
        self.writes += 1;
        let disk = random.below(self.disks.len() as u64) as usize;
        let content = &mut self.disks[disk];
        let sectors = (content.len() / 512) as u64;
        let first = random.below(sectors);
        let count = random.between(1, 40).min(sectors - first);
        let part = &mut content[first as usize * 512..(first + count) as usize * 512];
        match random.below(6) {
            0 => part.fill(0),
            1 => {
                let word = random.next().to_le_bytes();
                part.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&word[..chunk.len()]));
            }
            _ => random.fill(part),
        }
    }
}
