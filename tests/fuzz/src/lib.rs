//! Fuzzing: one target for every decoder of the `DECODERS` lists, all made by one macro.
//!
//! With the stable toolchain and a C++ compiler, in this directory (its `.cargo/config.toml` asks for coverage):
//!
//! ```text
//! cargo build --release
//! target/x86_64-unknown-linux-gnu/release/record_head -max_len=8192 -max_total_time=60
//! ```
//!
//! or, where cargo-fuzz is installed, in the directory above: `RUSTC_BOOTSTRAP=1 cargo fuzz run record_head`.
//!
//! Checksums stop a fuzzer at the door, so the mutator puts the right one over half of what it makes (`seal.rs`),
//! and now and then starts again from golden bytes (`seeds.rs`). The tests of `tests/tests/decoders.rs` use both, and
//! fail when a decoder has no target, or a target no decoder.

#![warn(missing_docs)]

pub use libfuzzer_sys;

/// The right checksum over changed bytes.
mod seal;
/// Bytes each decoder takes.
mod seeds;

/// Every list of decoders.
pub const LISTS: &[&[(&str, fn(&[u8]))]] = &[
    agent::DECODERS,
    backup::DECODERS,
    blockdev::DECODERS,
    catalog::DECODERS,
    control::DECODERS,
    manifest::DECODERS,
    nbd::DECODERS,
    netplan::DECODERS,
    retention::DECODERS,
    seed::DECODERS,
    source::DECODERS,
    wire::DECODERS,
];

/// Feeds `bytes` to the decoder of this name.
pub fn run(name: &str, bytes: &[u8]) {
    let decoder = LISTS.iter().copied().flatten().find(|decoder| decoder.0 == name);
    decoder.expect("a target is named as its decoder").1(bytes);
}

/// Changes `data[..size]`, and returns its new size.
pub fn mutate(name: &str, data: &mut [u8], size: usize, max_size: usize, random: u32) -> usize {
    let seeds = seeds::seeds(name);
    let seed = &seeds[(random / 64) as usize % seeds.len()];
    if random.is_multiple_of(64) && seed.len() <= max_size {
        data[..seed.len()].copy_from_slice(seed);
        return seed.len();
    }
    let size = libfuzzer_sys::fuzzer_mutate(data, size, max_size);
    if random.is_multiple_of(2) {
        seal::seal(name, &mut data[..size]);
    }
    size
}

/// Makes a fuzz target of the decoder of this name.
#[macro_export]
macro_rules! fuzz {
    ($name:literal) => {
        $crate::libfuzzer_sys::fuzz_target!(|bytes: &[u8]| $crate::run($name, bytes));
        $crate::libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, random: u32| {
            $crate::mutate($name, data, size, max_size, random)
        });
    };
}
