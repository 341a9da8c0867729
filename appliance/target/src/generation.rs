//! Generations of a volume: each is given once, whatever machines come and go.
//!
//! The last one given is the name of an empty-but-for-zeroes file, because making a file is the one change a volume makes
//! whole and durable in one step.

use blockdev::{Volume, VolumeError};
use units::{ByteLen, Generation};

const DIRECTORY: &str = "generations";

/// Gives the next generation, above `newest` too; durable on return.
///
/// 1. The file of the new one is made. 2. Those of earlier ones are removed. A crash between leaves several: the highest counts.
pub fn next_generation<V: Volume>(volume: &V, newest: Generation) -> Result<Generation, VolumeError> {
    let names = volume.list(DIRECTORY)?;
    let given = names.iter().filter_map(|name| u64::from_str_radix(name, 16).ok()).max().unwrap_or(0);
    let next = Generation(given).max(newest).next();
    drop(volume.create(&format!("{DIRECTORY}/{:016x}", next.0), ByteLen::kib(4))?);
    names.iter().try_for_each(|name| volume.remove(&format!("{DIRECTORY}/{name}")))?;
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use blockdev::{CrashChoice, SimWorld};

    #[test]
    fn a_generation_is_never_given_twice_whenever_the_world_crashes() {
        for step in 1..12 {
            let world = SimWorld::new(step);
            let first = next_generation(&world.volume(), Generation(0)).unwrap();
            world.crash_at(world.steps() + step);
            let second = next_generation(&world.volume(), first);
            let after = world.after_crash(CrashChoice::Seeded(step));
            let third = next_generation(&after.volume(), Generation(0)).unwrap();
            assert!(third > first, "crashed at step {step}");
            assert!(second.is_err() || third > second.unwrap(), "crashed at step {step}");
        }
    }
}
