//! Batches, markers and seeds: random places, contents of every kind, and the images they lead to.

use std::rc::Rc;

use retention::{BatchBody, Body, Effort, ExtentEncoder, encoded_len};
use units::{ByteLen, ByteOffset, DiskIndex, GRANULE_LEN, Hash, LEAF_LEN, Sequence, Timestamp};
use wire::{Consistency, Encoding, Extent, Marker};

use super::oracle::Image;
use super::random::Random;

/// Makes what machines send.
pub(crate) struct Material {
    pub random: Random,
    encoder: ExtentEncoder,
}

/// What an item carries.
pub(crate) struct Item {
    pub body: Body,
    pub payload: Vec<u8>,
    pub image: Image,
}

impl Material {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), encoder: ExtentEncoder::new(1).unwrap() }
    }

    /// Makes a batch on top of `image`.
    pub(crate) fn batch(&mut self, sequence: u64, time: Timestamp, image: &Image) -> Item {
        let mut next = (**image).clone();
        let (mut extents, mut payload) = (Vec::new(), Vec::new());
        for (disk, content) in next.iter_mut().enumerate() {
            if extents.is_empty() || self.random.one_in(2) {
                self.change_disk(disk, content, &mut extents, &mut payload);
            }
        }
        let body = BatchBody { sequence: Sequence(sequence), time, extents };
        Item { body: Body::Batch(body), payload, image: Rc::new(next) }
    }

    fn change_disk(
        &mut self,
        disk: usize,
        content: &mut [u8],
        extents: &mut Vec<Extent>,
        payload: &mut Vec<u8>,
    ) {
        let len = content.len() as u64;
        // The partial granule at the end is worth more than its share.
        let mut start = if self.random.one_in(3) {
            (len - 1) / GRANULE_LEN
        } else {
            self.random.below(len.div_ceil(GRANULE_LEN))
        } * GRANULE_LEN;
        let index = DiskIndex(disk as u16);
        for _ in 0..self.random.between(1, 2) {
            if start >= len {
                return;
            }
            let end = len.min(start + self.random.between(1, 3) * GRANULE_LEN);
            if self.random.one_in(5) {
                // Zeroes may reach over leaves.
                let end = if self.random.one_in(4) { len } else { end };
                content[start as usize..end as usize].fill(0);
                let (start, len) = (ByteOffset(start), ByteLen(end - start));
                extents.push(Extent { disk: index, start, len, encoding: Encoding::Zero });
            } else {
                let end = end.min((start / LEAF_LEN + 1) * LEAF_LEN);
                let part = &mut content[start as usize..end as usize];
                self.random_content(part);
                extents.push(self.encoder.encode(Effort::Compress, index, ByteOffset(start), part, payload));
            }
            let last = extents.last().expect("an extent was just added");
            start = (last.start.0 + last.len.0).next_multiple_of(GRANULE_LEN)
                + self.random.below(2) * GRANULE_LEN;
        }
    }

    fn random_content(&mut self, part: &mut [u8]) {
        match self.random.below(8) {
            0..4 => self.random.fill(part),
            4 => part.fill(0),
            _ => {
                let word = self.random.next().to_le_bytes();
                part.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&word[..chunk.len()]));
            }
        }
    }

    /// Makes a marker; it changes nothing.
    pub(crate) fn marker(
        &mut self,
        sequence: u64,
        time: Timestamp,
        image: &Image,
        consistency: Consistency,
    ) -> Item {
        let marker = Marker {
            sequence: Sequence(sequence),
            time,
            consistency,
            label: heapless::String::new(),
            roots: heapless::Vec::from_slice(&roots_of(image)).unwrap(),
            group: None,
        };
        Item { body: Body::Marker(Box::new(marker)), payload: Vec::new(), image: image.clone() }
    }

    /// Makes extents that seed `from..to` of a disk, and puts their content there.
    pub(crate) fn seed(
        &mut self,
        disk: usize,
        content: &mut [u8],
        from: u64,
        to: u64,
    ) -> (Vec<Extent>, Vec<u8>) {
        let (mut extents, mut payload) = (Vec::new(), Vec::new());
        let mut start = from;
        while start < to {
            let end = to.min((start / LEAF_LEN + 1) * LEAF_LEN).min(start + 4 * GRANULE_LEN);
            let part = &mut content[start as usize..end as usize];
            self.random_content(part);
            extents.push(self.encoder.encode(
                Effort::Compress,
                DiskIndex(disk as u16),
                ByteOffset(start),
                part,
                &mut payload,
            ));
            start = end;
        }
        assert_eq!(
            payload.len(),
            extents.iter().map(encoded_len).sum::<usize>(),
            "the payload is the extents'"
        );
        (extents, payload)
    }
}

/// Puts extents on an image, as a target must.
pub(crate) fn apply_extents(extents: &[Extent], payload: &[u8], image: &mut [Vec<u8>]) {
    for (extent, part) in wire::extent_payloads(extents, payload) {
        let start = usize::try_from(extent.start.0).expect("a small disk");
        let into = &mut image[usize::from(extent.disk.0)][start..start + extent.len.as_usize()];
        match extent.encoding {
            Encoding::Zero => into.fill(0),
            Encoding::Raw { .. } => into.copy_from_slice(part),
            Encoding::Zstd { .. } => {
                into.copy_from_slice(&zstd::bulk::decompress(part, into.len()).expect("a whole frame"));
            }
        }
    }
}

/// Returns the root of each disk, computed here and not by the code under test.
pub(crate) fn roots_of(image: &Image) -> Vec<Hash> {
    let root = |disk: &Vec<u8>| {
        let leaves: Vec<Hash> =
            disk.chunks(LEAF_LEN as usize).map(|leaf| blake3::hash(leaf).into()).collect();
        units::disk_root(ByteLen(disk.len() as u64), &leaves)
    };
    image.iter().map(root).collect()
}
